/**
 * A thread that helps with loops, started by loop-threads.node.ts. The arrays are those of the thread that started it, which
 * keeps them while parts are pending: here they are views of the same memory, used for nothing but parts that were taken.
 */
import { createRequire } from "node:module";
import { workerData } from "node:worker_threads";
import type { LoopArray } from "./kernels.ts";
import { LoopTable, type Place, type SharedTable } from "./loop-table.ts";

const { view } = createRequire(import.meta.url)("koffi") as { view(address: number, bytes: number): ArrayBuffer };

/** Remembered views, by address: as many as the arrays of a large model; then it begins anew. */
const MOST_VIEWS = 16384;
const views = new Map<number, LoopArray>();

function arrayAt({ address, length, type }: Place): LoopArray {
  const ArrayType = type === "int32" ? Int32Array : Float32Array;
  const known = views.get(address);
  if (known?.length === length && known instanceof ArrayType) return known;
  if (views.size >= MOST_VIEWS) views.clear();
  const array = new ArrayType(view(address, 4 * length));
  views.set(address, array);
  return array;
}

const table = new LoopTable(workerData as SharedTable);
table.serve(() => {
  for (let part = table.take(); part >= 0; part = table.take()) {
    const { kernel, arrays, factors, range } = table.find(part, arrayAt);
    table.done(part, kernel.run(arrays, factors, range) ?? 0);
  }
});
