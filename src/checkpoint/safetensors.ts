/**
 * The safetensors file format (https://github.com/huggingface/safetensors): a header (safetensors-header.ts) and the tensors'
 * bytes end to end. Reading trusts nothing. Bytes are little-endian, as on every platform that the engine supports.
 */
import type { DType, HostArray, HostTensor } from "../base/dtype.ts";
import { LonghandError } from "../base/errors.ts";
import { fromBrainFloat16, fromFloat16 } from "../base/float16.ts";
import { type Shape, showShape, sizeOf } from "../base/shape.ts";
import { type FileDType, readSafetensorsHeader, type SafetensorsHeader, show } from "./safetensors-header.ts";

/** A tensor that only files have: half-precision numbers as their bits, or bytes with a sign. */
export type NarrowTensor = { readonly shape: Shape } & (
  | { readonly dtype: "float16"; readonly data: Uint16Array }
  | { readonly dtype: "int8"; readonly data: Int8Array }
);

const HOST: Readonly<Record<FileDType, DType>> = {
  ...{ F32: "float32", F16: "float32", BF16: "float32", BOOL: "bool" },
  ...{ I32: "int32", I64: "int32", U8: "int32", I8: "int32" },
};

/** How the tensors of each dtype are read. F16 and BF16 become float32; I64, U8 and I8 become int32, value for value. */
const READ: Readonly<Record<FileDType, (raw: Uint8Array, what: string) => HostArray>> = {
  F32: (raw) => new Float32Array(...aligned(raw, 4)),
  F16: (raw) => fromFloat16(new Uint16Array(...aligned(raw, 2))),
  BF16: (raw) => fromBrainFloat16(new Uint16Array(...aligned(raw, 2))),
  I32: (raw) => new Int32Array(...aligned(raw, 4)),
  I64: narrow,
  U8: (raw) => Int32Array.from(raw),
  I8: (raw) => Int32Array.from(new Int8Array(...aligned(raw, 1))),
  BOOL: checkBools,
};

type Written = (HostTensor | NarrowTensor)["dtype"];

const WRITTEN = {
  float32: { dtype: "F32", array: Float32Array },
  int32: { dtype: "I32", array: Int32Array },
  float16: { dtype: "F16", array: Uint16Array },
  int8: { dtype: "I8", array: Int8Array },
  bool: { dtype: "BOOL", array: Uint8Array },
} as const satisfies Readonly<Record<Written, { readonly dtype: FileDType; readonly array: unknown }>>;

export interface SafetensorsFile extends SafetensorsHeader {
  /** By name, in the order of the header; the object has no prototype. */
  readonly tensors: Record<string, HostTensor>;
}

/**
 * A safetensors file as chunks to be written one after the other: the header, its length a multiple of 8 bytes, then
 * each tensor's own bytes, not copied (do not change the tensors before the chunks are written). The widest elements come
 * first, so that every tensor is aligned. Throws `checkpoint` when a tensor's data does not fit its shape or dtype.
 */
export function encodeSafetensors(
  tensors: Readonly<Record<string, HostTensor | NarrowTensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array[] {
  const entries = Object.entries(tensors);
  for (const [name, tensor] of entries) checkTensor(name, tensor);
  entries.sort(([, a], [, b]) => b.data.BYTES_PER_ELEMENT - a.data.BYTES_PER_ELEMENT);
  const header: [string, unknown][] = Object.keys(metadata).length > 0 ? [["__metadata__", metadata]] : [];
  const chunks: Uint8Array[] = [];
  let offset = 0;
  for (const [name, { dtype, shape, data }] of entries) {
    const end = offset + data.byteLength;
    header.push([name, { dtype: WRITTEN[dtype].dtype, shape, data_offsets: [offset, end] }]);
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

function checkTensor(name: string, { dtype, shape, data }: HostTensor | NarrowTensor): void {
  const what = `tensor ${show(name)}`;
  if (name === "__metadata__" || name === "__proto__") {
    throw new LonghandError("checkpoint", `${what}: this name is reserved and cannot be saved`);
  }
  if (!(data instanceof WRITTEN[dtype].array))
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
  const header = readSafetensorsHeader(bytes, bytes.length, name);
  const tensors: Record<string, HostTensor> = Object.create(null);
  for (const [tensor, { dtype, shape, offset, bytes: length }] of Object.entries(header.places)) {
    const data = READ[dtype](bytes.subarray(offset, offset + length), `${name}: tensor ${show(tensor)}`);
    tensors[tensor] = { dtype: HOST[dtype], data, shape };
  }
  return { ...header, tensors };
}

/** The arguments of a view of elements: of the file's own buffer when it is aligned there, else of a copy. */
function aligned(raw: Uint8Array, width: number): [ArrayBufferLike, number, number] {
  const source = raw.byteOffset % width === 0 ? raw : new Uint8Array(raw); // slice of a Buffer would be no copy
  return [source.buffer, source.byteOffset, source.byteLength / width];
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
