/**
 * A thread that helps with loops, started by loop-threads.node.ts. The arrays are those of the thread that started it, which
 * keeps them while parts are pending: here they are views of the same memory, used for nothing but parts that were taken.
 */
import { workerData } from "node:worker_threads";
import type { LoopArray } from "./kernels.ts";
import { viewOf } from "./loop-memory.node.ts";
import { LoopTable, type Place, type SharedTable } from "./loop-table.ts";

/** Remembered views, by address: as many as the arrays of a large model; then it begins anew. */
const MOST_VIEWS = 16384;
const views = new Map<number, LoopArray>();

function arrayAt(place: Place): LoopArray {
  const known = views.get(place.address);
  if (known?.length === place.length && known instanceof Int32Array === (place.type === "int32")) return known;
  if (views.size >= MOST_VIEWS) views.clear();
  const array = viewOf(place);
  views.set(place.address, array);
  return array;
}

const table = new LoopTable(workerData as SharedTable);
table.serve(() => {
  for (let part = table.take(); part >= 0; part = table.take()) {
    const { kernel, arrays, factors, range } = table.find(part, arrayAt);
    table.done(part, kernel.run(arrays, factors, range) ?? 0);
  }
});
