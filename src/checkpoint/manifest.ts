/**
 * `state.json` of a checkpoint: the format's version, the step, length and SHA-256 of each tensor file, the caller's
 * training state, and a SHA-256 of all that, so that a flipped bit in the state itself is noticed too.
 */
import {
  decodeCheckedJson,
  encodeCheckedJson,
  isCount,
  isRecord,
  type JsonKind,
  type Refuse,
} from "../base/checked-json.ts";
import { LonghandError } from "../base/errors.ts";

const VERSION = 1;

/** The files of tensors. The last is there where training carries states on from window to window. */
const TENSOR_FILES = ["model.safetensors", "optimizer.safetensors", "carried.safetensors"] as const;
export type TensorFile = (typeof TENSOR_FILES)[number];
const NEEDED: readonly TensorFile[] = ["model.safetensors", "optimizer.safetensors"];

export interface FileRecord {
  readonly bytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
}

export interface Manifest {
  readonly step: number;
  readonly files: Readonly<Partial<Record<TensorFile, FileRecord>>>;
  readonly state: unknown;
}

/** SHA-256 of a text, in hexadecimal: an argument, because hashing differs between Node and the browser. */
type Digest = (text: string) => string;

const kindOf = (digest: Digest): JsonKind => ({
  what: "the state of a checkpoint",
  version: VERSION,
  checksum: { field: "sha256", digest },
});

/** The text of `state.json`. Throws `checkpoint` naming the place when `state` holds what JSON would lose. */
export function encodeManifest({ step, files, state }: Manifest, digest: Digest): string {
  checkJson(state, "state");
  return encodeCheckedJson(kindOf(digest), { step, files, state });
}

/** Reads `state.json`, called `file` in errors. Throws `checkpoint` when it is damaged or of another version. */
export function decodeManifest(text: string, file: string, digest: Digest): Manifest {
  const refuse: Refuse = (problem, cause) => {
    throw new LonghandError("checkpoint", `${file}: ${problem}`, { cause });
  };
  const { step, files, state } = decodeCheckedJson(text, kindOf(digest), refuse);
  const isFile = (name: TensorFile, files: Record<string, unknown>) =>
    isFileRecord(files[name]) || (files[name] === undefined && !NEEDED.includes(name));
  if (!isCount(step) || !isRecord(files) || !TENSOR_FILES.every((name) => isFile(name, files))) {
    refuse("step or files are not what a checkpoint holds");
  }
  return { step, files: files as Manifest["files"], state };
}

function isFileRecord(value: unknown): value is FileRecord {
  return isRecord(value) && isCount(value.bytes) && typeof value.sha256 === "string";
}

/** Refuses what JSON.stringify would drop or change without a word: undefined, NaN, infinities, functions, classes. */
function checkJson(value: unknown, path: string): void {
  if (value === null || typeof value === "string" || typeof value === "boolean" || Number.isFinite(value)) return;
  if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) checkJson(item, `${path}[${i}]`);
  } else if (isRecord(value) && isPlain(value)) {
    for (const [key, item] of Object.entries(value)) {
      if (item !== undefined) checkJson(item, `${path}.${key}`); // an absent optional field stays absent
    }
  } else {
    const got = typeof value === "object" ? value.constructor.name : String(value);
    throw new LonghandError("checkpoint", `${path}: expected a value that JSON can hold, got ${got}`);
  }
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}
