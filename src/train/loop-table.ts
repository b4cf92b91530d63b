/**
 * How threads share loops: in shared memory, a row of numbers for each part of a loop, and counters by which threads take
 * parts. Whoever takes a part runs it, so a thread that comes late, or not at all, holds nobody up.
 */
import type { Loop } from "./host-loops.ts";
import { type Kernel, kernelNames, kernels, type LoopArray, type Range } from "./kernels.ts";

/** Elements that a part visits: 16 to 70 µs of work, and of each array 64 KiB. */
const PART = 2 ** 14;
/** Parts begin at multiples of this: at cache lines of their own, as far as arrays do. */
const GRAIN = 64;
/** The most parts that the table holds. */
export const MOST_PARTS = 4096;

/** A part of a loop. */
export interface Part extends Range {
  readonly loop: Loop;
}

/** The largest come last: they are taken first. */
export function partsOf(loops: readonly Loop[]): Part[] {
  const all = loops.flatMap((loop) => {
    const { length, depth = 1 } = loop;
    const { whole = false } = kernels[loop.kernel] as Kernel;
    const step = whole ? length : GRAIN * Math.max(1, Math.floor(PART / depth / GRAIN));
    const parts: Part[] = [];
    for (let from = 0; from < length; from += step) parts.push({ loop, from, to: Math.min(from + step, length) });
    return parts;
  });
  return all.sort((a, b) => a.to - a.from - (b.to - b.from));
}

/** A part as another thread finds it: `arrayAt` makes an array of the memory there. */
export interface FoundPart {
  readonly kernel: Kernel;
  readonly arrays: Readonly<Record<string, LoopArray>>;
  readonly factors: Readonly<Record<string, number>>;
  readonly range: Range;
}

/** Where an array lies. Addresses have at most 48 bits. */
export interface Place {
  readonly address: number;
  readonly length: number;
  readonly type: "float32" | "int32";
}

/** Kernel, from, to; three numbers for each array; factors. */
const ROW = 3 + 3 * 4 + 6;

/** Indices of counters: runs begun, parts not taken yet (below 0 when all are), parts not done yet, whether all is over. */
const RUNS = 0;
const LEFT = 1;
const PENDING = 2;
const CLOSED = 3;

export interface SharedTable {
  readonly counters: Int32Array;
  readonly rows: Float64Array;
  /** By part. */
  readonly results: Float64Array;
}

export class LoopTable {
  readonly shared: SharedTable;

  /** Default: a table of its own, for others to share. */
  constructor(shared?: SharedTable) {
    this.shared = shared ?? {
      counters: new Int32Array(new SharedArrayBuffer(4 * 4)),
      rows: new Float64Array(new SharedArrayBuffer(8 * ROW * MOST_PARTS)),
      results: new Float64Array(new SharedArrayBuffer(8 * MOST_PARTS)),
    };
  }

  /** Begins a run of parts, at most MOST_PARTS, when all of the one before are done; wakes at most so many threads. */
  begin(parts: readonly Part[], placeOf: (array: LoopArray) => Place, helpers: number): void {
    const { counters, rows } = this.shared;
    for (const [i, { loop, from, to }] of parts.entries()) {
      const { arrays, factors } = kernels[loop.kernel] as Kernel;
      let at = ROW * i;
      for (const value of [kernelNames.indexOf(loop.kernel), from, to]) rows[at++] = value;
      for (const name of arrays) {
        const { address, length, type } = placeOf((loop.arrays as Record<string, LoopArray>)[name]);
        for (const value of [address, length, type === "int32" ? 1 : 0]) rows[at++] = value;
      }
      for (const name of factors) rows[at++] = (loop.factors as Record<string, number>)[name];
    }
    Atomics.store(counters, PENDING, parts.length);
    Atomics.store(counters, LEFT, parts.length); // from here on parts are taken
    Atomics.add(counters, RUNS, 1);
    Atomics.notify(counters, RUNS, helpers);
  }

  /** The index of a part that nobody else has, -1 when there is none. */
  take(): number {
    const { counters } = this.shared;
    if (Atomics.load(counters, LEFT) <= 0) return -1;
    return Math.max(-1, Atomics.sub(counters, LEFT, 1) - 1);
  }

  /** What stands in the table of a part that was taken. */
  find(part: number, arrayAt: (place: Place) => LoopArray): FoundPart {
    const { rows } = this.shared;
    let at = ROW * part;
    const kernel = kernels[kernelNames[rows[at++]]] as Kernel;
    const range = { from: rows[at++], to: rows[at++] };
    const arrays: Record<string, LoopArray> = {};
    for (const name of kernel.arrays) {
      const [address, length, isInteger] = [rows[at++], rows[at++], rows[at++]];
      arrays[name] = arrayAt({ address, length, type: isInteger ? "int32" : "float32" });
    }
    const factors = Object.fromEntries(kernel.factors.map((name) => [name, rows[at++]]));
    return { kernel, arrays, factors, range };
  }

  /** Says that a part is done. */
  done(part: number, result: number): void {
    const { counters, results } = this.shared;
    results[part] = result;
    if (Atomics.sub(counters, PENDING, 1) === 1) Atomics.notify(counters, PENDING);
  }

  /** Blocks until all parts are done, but no longer than some milliseconds. Returns whether they are. */
  allDone(patience: number): boolean {
    const { counters } = this.shared;
    const pending = Atomics.load(counters, PENDING);
    if (pending > 0) Atomics.wait(counters, PENDING, pending, patience);
    return Atomics.load(counters, PENDING) === 0;
  }

  /** Lets no more parts be taken, now and ever. */
  close(): void {
    const { counters } = this.shared;
    Atomics.store(counters, LEFT, 0);
    Atomics.store(counters, CLOSED, 1);
    Atomics.add(counters, RUNS, 1);
    Atomics.notify(counters, RUNS);
  }

  /** For a thread that helps: calls `work` at each run until the table is closed, and sleeps between. */
  serve(work: () => void): void {
    const { counters } = this.shared;
    while (Atomics.load(counters, CLOSED) === 0) {
      const run = Atomics.load(counters, RUNS);
      work();
      if (Atomics.load(counters, CLOSED) === 0) Atomics.wait(counters, RUNS, run);
    }
  }
}
