/**
 * The files of one checkpoint, wherever they are kept: two or three files of tensors and `state.json`, which has their
 * lengths and checksums and its own, so that a part of a checkpoint is never taken for a whole one.
 */
import type { HostTensor } from "../base/dtype.ts";
import { LonghandError } from "../base/errors.ts";
import { decodeManifest, encodeManifest, type FileRecord, type Manifest, type TensorFile } from "./manifest.ts";
import { decodeSafetensors, encodeSafetensors } from "./safetensors.ts";

type Tensors = Readonly<Record<string, HostTensor>>;

export interface CheckpointContent {
  /** Optimiser steps taken so far. */
  readonly step: number;
  readonly model: Tensors;
  readonly optimizer: Tensors;
  /** The states that training carries on from window to window; undefined where it carries none. */
  readonly carried?: Tensors | undefined;
  /** Whatever else training needs to go on, of plain JSON values. */
  readonly state: unknown;
}

export interface ModelCheckpoint {
  readonly path: string;
  readonly step: number;
  readonly model: Record<string, HostTensor>;
  readonly state: unknown;
}

export interface FullCheckpoint extends ModelCheckpoint {
  readonly optimizer: Record<string, HostTensor>;
  readonly carried?: Record<string, HostTensor>;
}

/** What to read: generation needs only the model, training all. */
export type CheckpointParts = "model" | "all";

/** SHA-256 of parts one after the other, in hexadecimal: an argument, because hashing differs between Node and the browser. */
export type Sha256 = (...parts: readonly (Uint8Array | string)[]) => string;

export const STATE_FILE = "state.json";
const FOLDER = /^step-(\d{8,})$/;

/** The folder of a step's checkpoint, below `checkpoints`. */
export const checkpointFolder = (step: number): string => `step-${String(step).padStart(8, "0")}`;

/** The step whose checkpoint a folder of this name holds; undefined for other names. */
export function stepOfFolder(name: string): number | undefined {
  const step = FOLDER.exec(name)?.[1];
  return step === undefined ? undefined : Number(step);
}

export interface EncodedFile {
  readonly name: string;
  readonly parts: readonly (Uint8Array | string)[];
}

/** The files to write, `state.json` last. Throws `checkpoint` for tensors or state that cannot be saved. */
export function encodeCheckpoint(
  { step, model, optimizer, carried, state }: CheckpointContent,
  sha256: Sha256,
): EncodedFile[] {
  if (!Number.isSafeInteger(step) || step < 0) {
    throw new LonghandError("checkpoint", `step: expected an integer of 0 or more, got ${step}`);
  }
  const tensors: [TensorFile, Uint8Array[]][] = [
    ["model.safetensors", encodeSafetensors(model)],
    ["optimizer.safetensors", encodeSafetensors(optimizer)],
    ...(carried ? [["carried.safetensors", encodeSafetensors(carried)] satisfies [TensorFile, Uint8Array[]]] : []),
  ];
  const records = tensors.map(([file, parts]): [TensorFile, FileRecord] => {
    const bytes = parts.reduce((sum, chunk) => sum + chunk.length, 0);
    return [file, { bytes, sha256: sha256(...parts) }];
  });
  const manifest = encodeManifest({ step, files: Object.fromEntries(records), state }, sha256);
  return [...tensors.map(([name, parts]) => ({ name, parts })), { name: STATE_FILE, parts: [manifest] }];
}

export interface CheckpointReader {
  /** The folder, as errors name it; its last part may be that of a step. */
  readonly path: string;
  /** A file of it as errors name it. */
  readonly nameOf: (file: string) => string;
  /** The whole file, which has this many bytes if that is known. Throws `checkpoint` where it is missing or shorter. */
  readonly read: (file: string, bytes?: number) => Promise<Uint8Array>;
  readonly sha256: Sha256;
}

/** Throws `checkpoint` naming the file at fault when anything is missing, cut short, changed or of another version. */
export async function readManifest({ nameOf, read, sha256 }: CheckpointReader): Promise<Manifest> {
  const [file, bytes] = [nameOf(STATE_FILE), await read(STATE_FILE)];
  return decodeManifest(utf8Of(bytes, file), file, sha256);
}

/** Reads and verifies a checkpoint, the model alone or all. Throws as `readManifest`. */
export async function decodeCheckpoint(reader: CheckpointReader, parts: "model"): Promise<ModelCheckpoint>;
export async function decodeCheckpoint(reader: CheckpointReader, parts: "all"): Promise<FullCheckpoint>;
export async function decodeCheckpoint(
  reader: CheckpointReader,
  parts: CheckpointParts,
): Promise<ModelCheckpoint | FullCheckpoint> {
  const { path } = reader;
  const manifest = await readManifest(reader);
  const { step, state, files } = manifest;
  const named = stepOfFolder(path.split(/[/\\]/).at(-1) ?? "");
  if (named !== undefined && named !== step) {
    throw new LonghandError("checkpoint", `${path}: it holds step ${step}: the folder was renamed`);
  }
  const model = await readTensors(reader, "model.safetensors", manifest);
  if (parts === "model") return { path, step, model, state };
  const optimizer = await readTensors(reader, "optimizer.safetensors", manifest);
  const carried = files["carried.safetensors"] && (await readTensors(reader, "carried.safetensors", manifest));
  return { path, step, model, state, optimizer, ...(carried && { carried }) };
}

async function readTensors(
  { nameOf, read, sha256 }: CheckpointReader,
  name: TensorFile,
  { files }: Manifest,
): Promise<Record<string, HostTensor>> {
  const file = nameOf(name);
  const expected = files[name] as FileRecord;
  const bytes = await read(name, expected.bytes);
  if (sha256(bytes) !== expected.sha256) {
    throw new LonghandError("checkpoint", `${file}: it does not match its checksum: it was damaged after it was saved`);
  }
  return decodeSafetensors(bytes, file).tensors;
}

/** The text of a file, called `file` in errors. Throws `checkpoint` where it is not UTF-8. */
export function utf8Of(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new LonghandError("checkpoint", `${file}: it is not UTF-8 text, so it is damaged`, { cause: error });
  }
}
