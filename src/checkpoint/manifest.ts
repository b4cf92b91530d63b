/**
 * `state.json` of a checkpoint: the format's version, the step, length and SHA-256 of each tensor file, the caller's
 * training state, and a SHA-256 of all that, so that a flipped bit in the state itself is noticed too.
 */
import { LonghandError, messageOf } from "../base/errors.ts";

/** The version of the checkpoint format that is written, and the only one that is read. */
export const CHECKPOINT_VERSION = 1;

export const TENSOR_FILES = ["model.safetensors", "optimizer.safetensors"] as const;
export type TensorFile = (typeof TENSOR_FILES)[number];

export interface FileRecord {
  readonly bytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
}

export interface Manifest {
  readonly step: number;
  readonly files: Readonly<Record<TensorFile, FileRecord>>;
  readonly state: unknown;
}

/** SHA-256 of a text, in hexadecimal: an argument, because hashing differs between Node and the browser. */
export type Digest = (text: string) => string;

/** The text of `state.json`. Throws `checkpoint` when `state` holds something that JSON would lose, naming the place. */
export function encodeManifest({ step, files, state }: Manifest, digest: Digest): string {
  checkJson(state, "state");
  const content = { version: CHECKPOINT_VERSION, step, files, state };
  return `${JSON.stringify({ ...content, sha256: digest(JSON.stringify(content)) }, null, 2)}\n`;
}

/** Reads `state.json`, called `file` in errors. Throws `checkpoint` when it is damaged or of another version. */
export function decodeManifest(text: string, file: string, digest: Digest): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new LonghandError("checkpoint", `${file}: it is not valid JSON (${messageOf(error)})`, { cause: error });
  }
  if (!isRecord(value)) throw new LonghandError("checkpoint", `${file}: it must hold a JSON object`);
  const { sha256, ...content } = value;
  const { version, step, files, state } = content;
  if (version !== CHECKPOINT_VERSION) {
    const expected = `this version of Longhand reads checkpoints of version ${CHECKPOINT_VERSION}`;
    throw new LonghandError("checkpoint", `${file}: ${expected}, got version ${JSON.stringify(version)}`);
  }
  if (sha256 !== digest(JSON.stringify(content))) {
    throw new LonghandError("checkpoint", `${file}: it does not match its own checksum: it was damaged or edited`);
  }
  if (!isCount(step) || !isRecord(files) || !TENSOR_FILES.every((name) => isFileRecord(files[name]))) {
    throw new LonghandError("checkpoint", `${file}: step or files are not what a checkpoint holds`);
  }
  return { step, files: files as Record<TensorFile, FileRecord>, state };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
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
