/**
 * What an execution engine is: it compiles programs into functions on host arrays. Training and generation know this
 * interface only; ort-node.ts and ort-web.ts implement it.
 */
import type { HostArray } from "../base/dtype.ts";
import type { Program } from "../graph/program.ts";

export const deviceNames = ["cpu", "webgpu", "cuda"] as const;
export type Device = (typeof deviceNames)[number];

export interface CompileOptions {
  /** Keeps equal subexpressions apart, so that each is computed: for timing one thing several times. Default false. */
  readonly keepDuplicates?: boolean;
}

export interface Engine {
  readonly device: Device;
  /** Threads of one operation, pinned: results repeat bit for bit at a fixed count. */
  readonly threads: number;
  compile(program: Program, options?: CompileOptions): Promise<CompiledFunction>;
  /** Releases every function that is still open. */
  close(): Promise<void>;
}

export type HostArraysByName = Readonly<Record<string, HostArray>>;

export interface CompiledFunction {
  /**
   * Runs once. Inputs are read in place (an array given again costs nothing to set up). The returned arrays belong to
   * the function and are overwritten by its next run. Throws when an input is missing, unknown or of another length.
   */
  run(inputs: HostArraysByName): Promise<HostArraysByName>;
  release(): Promise<void>;
}
