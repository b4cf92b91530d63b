/**
 * Arrays as several threads see them: where one lies, and a view of the memory there. The view keeps nothing alive and may be
 * used only while the array's own thread keeps it.
 */
import { createRequire } from "node:module";
import type { LoopArray } from "./kernels.ts";
import type { Place } from "./loop-table.ts";

interface Koffi {
  address(buffer: ArrayBufferLike): bigint;
  view(address: number, bytes: number): ArrayBuffer;
}

let loaded: Koffi | undefined;

/** Loaded when it is first needed: importing this file does not need it. */
function koffi(): Koffi {
  loaded ??= createRequire(import.meta.url)("koffi") as Koffi;
  return loaded;
}

/** Throws when koffi cannot be loaded. */
export function placeOf(array: LoopArray): Place {
  const { buffer, byteOffset, length } = array; // asking for the buffer of a small array keeps it from being moved
  const address = Number(koffi().address(buffer)) + byteOffset;
  return { address, length, type: array instanceof Int32Array ? "int32" : "float32" };
}

export function viewOf({ address, length, type }: Place): LoopArray {
  const memory = koffi().view(address, 4 * length);
  return type === "int32" ? new Int32Array(memory) : new Float32Array(memory);
}
