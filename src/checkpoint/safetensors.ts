/**
 * The safetensors file format (https://github.com/huggingface/safetensors): an 8-byte header length, a JSON header that
 * gives each tensor's dtype, shape and place, and the tensors' bytes end to end. Reading trusts nothing: every header
 * field is checked before it is used. Bytes are little-endian, as on every platform that the engine supports.
 */
import { isCount, isRecord } from "../base/checked-json.ts";
import type { DType, HostArray, HostTensor } from "../base/dtype.ts";
import { bytesPerElement, isArrayOf } from "../base/dtype.ts";
import { LonghandError } from "../base/errors.ts";
import { type Shape, showShape, sizeOf } from "../base/shape.ts";

/** The format's own cap on the header, in bytes. */
const MAX_HEADER_BYTES = 100_000_000;

interface Readable {
  /** Bytes of an element in the file. */
  readonly width: number;
  readonly dtype: DType;
  /** `what` names the tensor in errors. */
  readonly read: (raw: Uint8Array, what: string) => HostArray;
}

/** The dtypes that are read, and how a tensor of each is read. I64 and U8 become int32, value for value. */
const READABLE: ReadonlyMap<unknown, Readable> = new Map<unknown, Readable>([
  ["F32", { width: 4, dtype: "float32", read: (raw) => new Float32Array(...aligned(raw)) }],
  ["I32", { width: 4, dtype: "int32", read: (raw) => new Int32Array(...aligned(raw)) }],
  ["I64", { width: 8, dtype: "int32", read: narrow }],
  ["U8", { width: 1, dtype: "int32", read: (raw) => Int32Array.from(raw) }],
  ["BOOL", { width: 1, dtype: "bool", read: checkBools }],
]);

const WRITTEN: Readonly<Record<DType, string>> = { float32: "F32", int32: "I32", bool: "BOOL" };

export interface SafetensorsFile {
  /** By name, in the order of the header; the object has no prototype. */
  readonly tensors: Record<string, HostTensor>;
  readonly metadata: Record<string, string>;
}

interface Entry {
  readonly name: string;
  readonly dtype: string;
  readonly kind: Readable;
  readonly shape: Shape;
  readonly begin: number;
  readonly end: number;
}

/**
 * A safetensors file as chunks to be written one after the other: the header, its length a multiple of 8 bytes, then
 * each tensor's own bytes, not copied (do not change the tensors before the chunks are written). Four-byte tensors come
 * first, so that every tensor is aligned. Throws `checkpoint` when a tensor's data does not fit its shape or dtype.
 */
export function encodeSafetensors(
  tensors: Readonly<Record<string, HostTensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array[] {
  const entries = Object.entries(tensors);
  for (const [name, tensor] of entries) checkTensor(name, tensor);
  entries.sort(([, a], [, b]) => bytesPerElement[b.dtype] - bytesPerElement[a.dtype]);
  const header: [string, unknown][] = Object.keys(metadata).length > 0 ? [["__metadata__", metadata]] : [];
  const chunks: Uint8Array[] = [];
  let offset = 0;
  for (const [name, { dtype, shape, data }] of entries) {
    const end = offset + data.byteLength;
    header.push([name, { dtype: WRITTEN[dtype], shape, data_offsets: [offset, end] }]);
    if (data.byteLength > 0) chunks.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    offset = end;
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  const padded = Math.ceil(json.length / 8) * 8;
  const head = new Uint8Array(8 + padded).fill(0x20);
  new DataView(head.buffer).setBigUint64(0, BigInt(padded), true);
  head.set(json, 8);
  return [head, ...chunks];
}

function checkTensor(name: string, { dtype, shape, data }: HostTensor): void {
  const what = `tensor ${show(name)}`;
  if (name === "__metadata__" || name === "__proto__") {
    throw new LonghandError("checkpoint", `${what}: this name is reserved and cannot be saved`);
  }
  if (!isArrayOf(dtype, data))
    throw new LonghandError("checkpoint", `${what}: expected data of ${dtype}, got ${data.constructor.name}`);
  if (data.length !== sizeOf(shape)) {
    const expected = `expected ${sizeOf(shape)} elements for shape ${showShape(shape)}`;
    throw new LonghandError("checkpoint", `${what}: ${expected}, got ${data.length}`);
  }
  if (dtype === "bool") checkBools(data as Uint8Array, what);
}

/**
 * The tensors and metadata of a safetensors file. `bytes` is the whole file and `name` what errors call it. Aligned
 * float32, int32 and bool tensors are views of `bytes`; others are copies. Throws `checkpoint`, naming the file, the
 * tensor and the value at fault, when anything in the header is not exactly as the format says: a file cut at any byte
 * is refused.
 */
export function decodeSafetensors(bytes: Uint8Array, name: string): SafetensorsFile {
  const { header, dataStart } = readHeader(bytes, name);
  const available = bytes.length - dataStart;
  const metadata: Record<string, string> = Object.create(null);
  const entries: Entry[] = [];
  for (const [key, value] of Object.entries(header)) {
    if (key === "__metadata__") Object.assign(metadata, readMetadata(value, name));
    else entries.push(readEntry(key, value, available, name));
  }
  checkCoverage(entries, available, name);
  const tensors: Record<string, HostTensor> = Object.create(null);
  for (const { name: tensor, kind, shape, begin, end } of entries) {
    const raw = bytes.subarray(dataStart + begin, dataStart + end);
    const data = kind.read(raw, `${name}: tensor ${show(tensor)}`);
    tensors[tensor] = { dtype: kind.dtype, data, shape };
  }
  return { tensors, metadata };
}

/** Where a tensor lies in a file. */
export interface TensorPlace {
  /** As the file says it: F32. */
  readonly dtype: string;
  readonly shape: Shape;
  /** Of its first byte, from the beginning of the file. */
  readonly offset: number;
  readonly bytes: number;
}

/** Where the tensors of a file lie, from its header, the first of the chunks that `encodeSafetensors` makes. */
export function tensorPlaces(head: Uint8Array, name: string): Record<string, TensorPlace> {
  const { header, dataStart } = readHeader(head, name);
  const places: Record<string, TensorPlace> = Object.create(null);
  for (const [key, value] of Object.entries(header)) {
    if (key === "__metadata__") continue;
    const { dtype, shape, begin, end } = readEntry(key, value, Number.POSITIVE_INFINITY, name);
    places[key] = { dtype, shape, offset: dataStart + begin, bytes: end - begin };
  }
  return places;
}

function fail(file: string, problem: string, cause?: unknown): never {
  throw new LonghandError("checkpoint", `${file}: ${problem}`, cause === undefined ? undefined : { cause });
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 120 ? `${text.slice(0, 117)}…` : text;
}

function readHeader(bytes: Uint8Array, file: string): { header: Record<string, unknown>; dataStart: number } {
  if (bytes.length < 8) fail(file, `cut short: ${bytes.length} bytes, but a safetensors file begins with 8 of length`);
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    fail(
      file,
      `header length ${length} is over the limit of ${MAX_HEADER_BYTES} bytes, so this is not a safetensors file`,
    );
  }
  const dataStart = 8 + Number(length);
  if (dataStart > bytes.length) {
    fail(file, `cut short: the header is ${length} bytes long, but only ${bytes.length - 8} bytes follow its length`);
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes.subarray(8, dataStart));
  } catch (error) {
    fail(file, "the header is not valid UTF-8", error);
  }
  if (!text.startsWith("{")) fail(file, `the header must be a JSON object, but begins with ${show(text.slice(0, 10))}`);
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (error) {
    fail(file, "the header is not valid JSON", error);
  }
  const duplicate = duplicateKey(text);
  if (duplicate !== undefined) fail(file, `the header names ${show(duplicate)} twice`);
  return { header: header as Record<string, unknown>, dataStart };
}

/** The first key that occurs twice in one object of a valid JSON text: JSON.parse keeps only the last of them. */
function duplicateKey(text: string): string | undefined {
  const open: (Set<string> | undefined)[] = []; // keys of the objects, undefined for the arrays, around this place
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (character === "{") open.push(new Set());
    else if (character === "[") open.push(undefined);
    else if (character === "}" || character === "]") open.pop();
    else if (character === '"') {
      const start = i++;
      while (text[i] !== '"') i += text[i] === "\\" ? 2 : 1;
      let next = i + 1;
      while (/\s/.test(text[next] ?? "")) next++;
      const keys = open.at(-1);
      if (keys === undefined || text[next] !== ":") continue;
      const key = JSON.parse(text.slice(start, i + 1)) as string;
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
}

function readMetadata(value: unknown, file: string): Record<string, string> {
  if (!isRecord(value)) fail(file, `__metadata__ must be an object, got ${show(value)}`);
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string") fail(file, `__metadata__ ${show(key)} must be a string, got ${show(text)}`);
    if (key === "__proto__") fail(file, `__metadata__ has the forbidden name "__proto__"`);
  }
  return value as Record<string, string>;
}

function readEntry(name: string, value: unknown, available: number, file: string): Entry {
  const what = `tensor ${show(name)}`;
  if (name === "__proto__") fail(file, `${what} has a forbidden name`);
  if (!isRecord(value)) fail(file, `${what}: expected an object, got ${show(value)}`);
  for (const key of Object.keys(value)) {
    if (key !== "dtype" && key !== "shape" && key !== "data_offsets") fail(file, `${what}: unknown field ${show(key)}`);
  }
  const { dtype, shape, data_offsets: offsets } = value;
  const kind = READABLE.get(dtype);
  if (kind === undefined) {
    fail(file, `${what}: dtype ${show(dtype)} is not one of those read here (${[...READABLE.keys()].join(", ")})`);
  }
  if (!Array.isArray(shape) || !shape.every(isCount)) {
    fail(file, `${what}: shape must be a list of integers of 0 or more, got ${show(shape)}`);
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) {
    fail(file, `${what}: data_offsets must be two integers of 0 or more, got ${show(offsets)}`);
  }
  const [begin, end] = offsets;
  if (begin > end) fail(file, `${what}: data_offsets ${show(offsets)} end before they begin`);
  if (end > available) {
    fail(file, `${what}: data_offsets ${show(offsets)} reach beyond the ${available} bytes after the header`);
  }
  const byteLength = sizeOf(shape) * kind.width;
  if (byteLength !== end - begin) {
    const expected = `shape ${showShape(shape)} of ${dtype} takes ${byteLength} bytes`;
    fail(file, `${what}: ${expected}, but data_offsets ${show(offsets)} hold ${end - begin}`);
  }
  return { name, dtype: dtype as string, kind, shape, begin, end };
}

/** The tensors lie end to end: no byte belongs to two of them or to none. */
function checkCoverage(entries: readonly Entry[], available: number, file: string): void {
  let covered = 0;
  for (const { name, begin, end } of entries.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    const place = `data_offsets [${begin}, ${end}]`;
    if (begin < covered) fail(file, `tensor ${show(name)}: ${place} overlap another tensor, which ends at ${covered}`);
    if (begin > covered) fail(file, `tensor ${show(name)}: ${place} leave a gap after byte ${covered}`);
    covered = end;
  }
  if (covered !== available) {
    fail(file, `${available} bytes follow the header, but its tensors take ${covered}`);
  }
}

/** The arguments of a view of four-byte elements: of the file's own buffer when it is aligned there, else of a copy. */
function aligned(raw: Uint8Array): [ArrayBufferLike, number, number] {
  const source = raw.byteOffset % 4 === 0 ? raw : new Uint8Array(raw); // slice of a Buffer would be no copy
  return [source.buffer, source.byteOffset, source.byteLength / 4];
}

/** 64-bit integers as 32-bit ones. */
function narrow(raw: Uint8Array, what: string): Int32Array {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const out = new Int32Array(raw.byteLength / 8);
  for (let i = 0; i < out.length; i++) {
    const low = view.getInt32(8 * i, true);
    if (view.getInt32(8 * i + 4, true) !== low >> 31) {
      const value = view.getBigInt64(8 * i, true);
      throw new LonghandError("checkpoint", `${what}: element ${i} is ${value}, which does not fit 32 bits`);
    }
    out[i] = low;
  }
  return out;
}

function checkBools(data: Uint8Array, what: string): Uint8Array {
  const bad = data.findIndex((value) => value > 1);
  if (bad >= 0) {
    throw new LonghandError("checkpoint", `${what}: element ${bad} is ${data[bad]}, but a bool is 0 or 1`);
  }
  return data;
}
