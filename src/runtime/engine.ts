/**
 * What an execution engine is: it compiles programs into functions. Their inputs are arrays of the host or tensors that
 * live on the engine's device; their outputs go to the host or stay on the device. Training and generation know this
 * interface only; ort-node.ts implements it, and in the tests the interpreter does.
 */
import type { HostArray, HostTensor, TensorType } from "../base/dtype.ts";
import type { Program } from "../graph/program.ts";

export const deviceNames = ["cpu", "webgpu", "cuda"] as const;
export type Device = (typeof deviceNames)[number];

export interface CompileOptions {
  /** Keeps equal subexpressions apart, so that each is computed: for timing one thing several times. Default false. */
  readonly keepDuplicates?: boolean;
  /** Inputs that are the same at every run: they are taken into the program, copied, and no longer given. Default: none. */
  readonly fixed?: HostArraysByName;
}

export interface Engine {
  readonly device: Device;
  /** Threads of one operation, pinned: results repeat bit for bit at a fixed count. */
  readonly threads: number;
  /** Whether its tensors are in memory of their own. Else they are arrays of the host. */
  readonly separateMemory: boolean;
  /** Whether each run copies what it is given, so that large inputs of short runs are better fixed. Default: false. */
  readonly copiesInputs?: boolean;
  /** Bytes that crossed between host and device so far. Counted on the CPU too, where nothing is copied. */
  readonly traffic: Traffic;
  /** A function that returns all its outputs to the host. */
  compile(program: Program, options?: CompileOptions): Promise<CompiledFunction>;
  /** A function whose outputs of these names stay on the device. Throws for a name that is no output. */
  compileResident(program: Program, resident: readonly string[], options?: CompileOptions): Promise<ResidentFunction>;
  /** The tensor on the device. On the CPU it is the given array itself, which must then not change while it is used. */
  upload(tensor: HostTensor): Promise<DeviceTensor>;
  /** Releases every tensor and function that is still there. */
  close(): Promise<void>;
}

export interface Traffic {
  readonly sent: number;
  readonly received: number;
}

/** A value on the engine's device, which never changes. It belongs to whoever received it, and takes memory until released. */
export interface DeviceTensor extends TensorType {
  /** The value on the host, row-major. On the CPU without a copy: do not change it, nor use it after `release`. */
  read(): Promise<HostArray>;
  /** Gives the memory back, to be written by a later run. Not to be called while a function reads this tensor. */
  release(): void;
}

export type HostArraysByName = Readonly<Record<string, HostArray>>;
export type DeviceTensorsByName = Readonly<Record<string, DeviceTensor>>;
/** What a function is run with. Tensors must be of the engine that compiled it. */
export type InputsByName = Readonly<Record<string, HostArray | DeviceTensor>>;

export interface CompiledFunction {
  /**
   * Runs once. Arrays are read in place, perhaps by another thread, until it has ended (one given again costs nothing to set
   * up). The returned arrays belong to the function and are overwritten by its next run. Throws when an input is missing, unknown
   * or of another size, and while another run of this function is under way.
   */
  run(inputs: InputsByName): Promise<HostArraysByName>;
  release(): Promise<void>;
}

export interface ResidentFunction {
  /** As CompiledFunction; the tensors of `device` belong to the caller, who releases them. */
  run(inputs: InputsByName): Promise<{ readonly host: HostArraysByName; readonly device: DeviceTensorsByName }>;
  release(): Promise<void>;
}
