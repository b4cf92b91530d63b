/**
 * Loops over arrays of the host: what is to be done, and doing it on the caller's thread. Several threads share it in
 * loop-threads.node.ts.
 */
import { type Kernel, type KernelName, kernels, type LoopArray, type Range } from "./kernels.ts";

type Table = typeof kernels;
type ArrayOf<N extends KernelName> = Table[N]["arrays"][number];
type FactorOf<N extends KernelName> = Table[N]["factors"][number];

interface LoopOf<N extends KernelName> {
  readonly kernel: N;
  readonly arrays: Readonly<Record<ArrayOf<N>, LoopArray>>;
  readonly factors: Readonly<Record<FactorOf<N>, number>>;
  /** Where the range ends that begins with 0. */
  readonly length: number;
  /** Elements that are visited for each place of the range. Default: 1. */
  readonly depth?: number;
}

/** A kernel with its arrays, all but those of addRows of the same length. */
export type Loop = { readonly [N in KernelName]: LoopOf<N> }[KernelName];

export interface HostLoops {
  /**
   * Runs loops in any order or at the same time: none may write what another one uses. Returns their results in order; 0
   * for loops without one. Throws "engine" when a thread has failed; then arrays are partly changed.
   */
  run(loops: readonly Loop[]): Promise<readonly number[]>;
  /** Ends its threads. */
  close(): Promise<void>;
}

/** Elements that loops visit. */
export const visitsOf = (loops: readonly Loop[]) =>
  loops.reduce((sum, { length, depth = 1 }) => sum + length * depth, 0);

/** A part of a loop. */
export function runPart({ kernel, arrays, factors }: Loop, range: Range): number {
  return (kernels[kernel] as Kernel).run(arrays as Record<string, LoopArray>, factors, range) ?? 0;
}

/** On the caller's thread. */
export function runHere(loops: readonly Loop[]): number[] {
  return loops.map((loop) => runPart(loop, { from: 0, to: loop.length }));
}

export const loopsHere: HostLoops = {
  run: async (loops) => runHere(loops),
  close: async () => {},
};
