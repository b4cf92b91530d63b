/**
 * The header of a safetensors file: its length in 8 bytes, then JSON that gives each tensor's dtype, shape and place. Every
 * field is checked before it is used.
 */
import { isCount, isRecord } from "../base/checked-json.ts";
import { LonghandError } from "../base/errors.ts";
import { type Shape, showShape, sizeOf } from "../base/shape.ts";

/** The format's own cap on the header, in bytes. */
const MAX_HEADER_BYTES = 100_000_000;

/** The dtypes that are read, and bytes of an element of each. */
const WIDTHS = { F32: 4, F16: 2, BF16: 2, I32: 4, I64: 8, U8: 1, I8: 1, BOOL: 1 } as const;
export type FileDType = keyof typeof WIDTHS;

/** Where a tensor lies in a file. */
export interface TensorPlace {
  readonly dtype: FileDType;
  readonly shape: Shape;
  /** Of its first byte, from the beginning of the file. */
  readonly offset: number;
  readonly bytes: number;
}

export interface SafetensorsHeader {
  /** By name, in the order of the header; the object has no prototype. */
  readonly places: Record<string, TensorPlace>;
  readonly metadata: Record<string, string>;
}

/** How many of the first bytes of a file are its header. Throws as readSafetensorsHeader. */
export function headerBytes(beginning: Uint8Array, fileBytes: number, name: string): number {
  if (beginning.length < 8) fail(name, `cut short: ${fileBytes} bytes, but a safetensors file begins with 8 of length`);
  const length = new DataView(beginning.buffer, beginning.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    fail(
      name,
      `header length ${length} is over the limit of ${MAX_HEADER_BYTES} bytes, so this is not a safetensors file`,
    );
  }
  const bytes = 8 + Number(length);
  if (bytes > fileBytes)
    fail(name, `cut short: the header is ${length} bytes long, but only ${fileBytes - 8} bytes follow its length`);
  return bytes;
}

/**
 * The header of a file of so many bytes, of which `bytes` has the first. Throws `checkpoint`, naming the file, the tensor and
 * the value at fault, when anything is not exactly as the format says.
 */
export function readSafetensorsHeader(bytes: Uint8Array, fileBytes: number, name: string): SafetensorsHeader {
  const dataStart = headerBytes(bytes, fileBytes, name);
  const header = parseHeader(bytes.subarray(8, dataStart), name);
  const metadata: Record<string, string> = Object.create(null);
  const places: Record<string, TensorPlace> = Object.create(null);
  for (const [key, value] of Object.entries(header)) {
    if (key === "__metadata__") Object.assign(metadata, readMetadata(value, name));
    else places[key] = readEntry(key, value, { dataStart, available: fileBytes - dataStart }, name);
  }
  checkCoverage(places, { dataStart, available: fileBytes - dataStart }, name);
  return { places, metadata };
}

function fail(file: string, problem: string, cause?: unknown): never {
  throw new LonghandError("checkpoint", `${file}: ${problem}`, cause === undefined ? undefined : { cause });
}

export function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 120 ? `${text.slice(0, 117)}…` : text;
}

function parseHeader(json: Uint8Array, file: string): Record<string, unknown> {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(json);
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
  return header as Record<string, unknown>;
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

interface Data {
  /** Bytes before the data, and of it. */
  readonly dataStart: number;
  readonly available: number;
}

function readEntry(name: string, value: unknown, { dataStart, available }: Data, file: string): TensorPlace {
  const what = `tensor ${show(name)}`;
  if (name === "__proto__") fail(file, `${what} has a forbidden name`);
  if (!isRecord(value)) fail(file, `${what}: expected an object, got ${show(value)}`);
  for (const key of Object.keys(value)) {
    if (key !== "dtype" && key !== "shape" && key !== "data_offsets") fail(file, `${what}: unknown field ${show(key)}`);
  }
  const { dtype, shape, data_offsets: offsets } = value;
  if (!isFileDType(dtype)) {
    fail(file, `${what}: dtype ${show(dtype)} is not one of those read here (${Object.keys(WIDTHS).join(", ")})`);
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
  const byteLength = sizeOf(shape) * WIDTHS[dtype];
  if (byteLength !== end - begin) {
    const expected = `shape ${showShape(shape)} of ${dtype} takes ${byteLength} bytes`;
    fail(file, `${what}: ${expected}, but data_offsets ${show(offsets)} hold ${end - begin}`);
  }
  return { dtype, shape, offset: dataStart + begin, bytes: byteLength };
}

function isFileDType(value: unknown): value is FileDType {
  return typeof value === "string" && Object.hasOwn(WIDTHS, value);
}

/** The tensors lie end to end: no byte belongs to two of them or to none. */
function checkCoverage(
  places: Readonly<Record<string, TensorPlace>>,
  { dataStart, available }: Data,
  file: string,
): void {
  let covered = 0;
  const sorted = Object.entries(places).map(([name, { offset, bytes }]) => ({
    name,
    begin: offset - dataStart,
    bytes,
  }));
  for (const { name, begin, bytes } of sorted.sort((a, b) => a.begin - b.begin || a.bytes - b.bytes)) {
    const place = `data_offsets [${begin}, ${begin + bytes}]`;
    if (begin < covered) fail(file, `tensor ${show(name)}: ${place} overlap another tensor, which ends at ${covered}`);
    if (begin > covered) fail(file, `tensor ${show(name)}: ${place} leave a gap after byte ${covered}`);
    covered = begin + bytes;
  }
  if (covered !== available) {
    fail(file, `${available} bytes follow the header, but its tensors take ${covered}`);
  }
}
