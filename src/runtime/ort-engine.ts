/**
 * The engine on ONNX Runtime, whichever of its packages is given (ort-node.ts: the native one for Node). Where the device
 * computes in the host's memory, input tensors wrap the caller's arrays and outputs are written into buffers that are
 * kept. On WebGPU, tensors that stay are GPU buffers; they cross by programs of one Identity, because the binding for Node
 * ends the process when a GPU buffer is asked for its data.
 */
import type { InferenceSession, InferenceSessionFactory, Tensor as OrtTensor } from "onnxruntime-common";
import { type HostArray, type HostTensor, hostArray, type TensorType } from "../base/dtype.ts";
import { LonghandError, messageOf } from "../base/errors.ts";
import { sameShape, showShape, sizeOf } from "../base/shape.ts";
import { showType } from "../graph/operator.ts";
import { type Program, program } from "../graph/program.ts";
import { input } from "../graph/tensor.ts";
import { toOnnx } from "../onnx/model.ts";
import type {
  CompiledFunction,
  CompileOptions,
  Device,
  DeviceTensor,
  Engine,
  InputsByName,
  ResidentFunction,
} from "./engine.ts";

/** What is used of an onnxruntime package. */
export interface OrtPackage {
  readonly InferenceSession: InferenceSessionFactory;
  readonly Tensor: new (type: "float32", data: Float32Array, dims: readonly number[]) => OrtTensor;
}

export interface OrtOptions {
  /** Threads of one operation. Default: 1; the caller chooses, since the count is part of a run's identity. */
  readonly threads?: number;
  readonly device?: Device;
  /** Concat and Split of more parts are divided. Default: 7 on WebGPU, whose kernels bind 8 buffers; elsewhere no limit. */
  readonly mostParts?: number;
  /** Makes it an error when an operator falls back from the device to the CPU. Default: false. */
  readonly wholeOnDevice?: boolean;
  /** Writes each optimised graph here, for looking at what the runtime made of it. */
  readonly dumpOptimizedTo?: string;
  /** Prefix of a Chrome-trace profile that the runtime writes for each function. */
  readonly profileTo?: string;
}

/** Most storage buffers of a WebGPU kernel is 8: the parts and their whole. */
const WEBGPU_PARTS = 7;

export class OrtEngine implements Engine {
  readonly device: Device;
  readonly threads: number;
  readonly separateMemory: boolean;
  readonly traffic = { sent: 0, received: 0 };
  readonly #ort: OrtPackage;
  readonly #options: OrtOptions;
  readonly #functions = new Set<OrtFunction>();
  /** Programs of one Identity, to the device and from it, by type. */
  readonly #transfers = new Map<string, Promise<OrtFunction>>();
  #lastTransfer: Promise<unknown> = Promise.resolve();

  constructor(ort: OrtPackage, options: OrtOptions) {
    this.device = options.device ?? "cpu";
    this.threads = options.threads ?? 1;
    this.separateMemory = this.device === "webgpu"; // CUDA in Node has no tensors that stay
    this.#ort = ort;
    this.#options = options;
  }

  async compile(program: Program, options: CompileOptions = {}): Promise<CompiledFunction> {
    const compiled = await this.#compile(program, [], options);
    return { run: async (inputs) => (await compiled.run(inputs)).host, release: () => compiled.release() };
  }

  compileResident(
    program: Program,
    resident: readonly string[],
    options: CompileOptions = {},
  ): Promise<ResidentFunction> {
    return this.#compile(program, resident, options);
  }

  async upload(tensor: HostTensor): Promise<DeviceTensor> {
    if (!this.separateMemory) {
      this.traffic.sent += tensor.data.byteLength;
      return this.#held(tensor, wrap(this.#ort, tensor, tensor.data), () => {});
    }
    return this.#transfer(tensor, tensor.data, ["y"], ({ device: { y } }) => y);
  }

  async close(): Promise<void> {
    for (const compiled of [...this.#functions]) await compiled.close();
  }

  async #compile(program: Program, resident: readonly string[], { keepDuplicates = false }: CompileOptions) {
    for (const name of resident) {
      if (!program.outputs.has(name))
        throw new LonghandError("engine", `${program.name}: expected an output to stay on the device, got ${name}`);
    }
    const { device, threads } = this;
    const { mostParts = device === "webgpu" ? WEBGPU_PARTS : undefined } = this.#options;
    const { bytes, constants } = toOnnx(program, { mostParts });
    let session: InferenceSession;
    try {
      session = await this.#ort.InferenceSession.create(bytes, {
        ...sessionOptions(program, { ...this.#options, device, threads }, keepDuplicates),
        ...(this.separateMemory && resident.length > 0
          ? { preferredOutputLocation: Object.fromEntries(resident.map((name) => [name, "gpu-buffer"])) }
          : {}),
      });
    } catch (error) {
      throw new LonghandError("engine", `${device} could not prepare ${program.name}: ${messageOf(error)}`, {
        cause: error,
      });
    }
    const compiled = new OrtFunction(session, program, resident, {
      ort: this.#ort,
      device,
      traffic: this.traffic,
      separateMemory: this.separateMemory,
      profiled: this.#options.profileTo !== undefined,
      hold: (type, value, onRelease) => this.#held(type, value, onRelease),
      onRelease: () => this.#functions.delete(compiled),
    });
    this.#functions.add(compiled);
    for (const [name, { node, dtype, shape }] of constants) {
      if (node.kind === "constant") compiled.feed(name, await this.upload({ dtype, shape, data: node.data }));
    }
    return compiled;
  }

  #held({ dtype, shape }: TensorType, value: OrtTensor, onRelease: () => void): HeldTensor {
    const read = async () => {
      if (!this.separateMemory) {
        const data = value.data as HostArray;
        this.traffic.received += data.byteLength;
        return data;
      }
      return this.#transfer({ dtype, shape }, held, [], ({ host }) => host.y.slice());
    };
    const held = new HeldTensor({ dtype, shape }, value, read, onRelease);
    return held;
  }

  /** One after the other: a function's buffers are those of one run. */
  #transfer<T>(
    type: TensorType,
    x: HostArray | DeviceTensor,
    resident: readonly string[],
    result: (outputs: Awaited<ReturnType<ResidentFunction["run"]>>) => T,
  ): Promise<T> {
    const key = `${showType(type)} ${resident}`;
    const identity =
      this.#transfers.get(key) ??
      this.#compile(program("transfer", { y: input("x", type.shape, type.dtype) }), resident, {});
    this.#transfers.set(key, identity);
    const done = this.#lastTransfer.then(async () => result(await (await identity).run({ x })));
    this.#lastTransfer = done.catch(() => {});
    return done;
  }
}

/** A tensor of this engine. */
class HeldTensor implements DeviceTensor {
  readonly dtype: TensorType["dtype"];
  readonly shape: TensorType["shape"];
  #value: OrtTensor | undefined;
  readonly #read: () => Promise<HostArray>;
  readonly #onRelease: () => void;

  constructor({ dtype, shape }: TensorType, value: OrtTensor, read: () => Promise<HostArray>, onRelease: () => void) {
    this.dtype = dtype;
    this.shape = shape;
    this.#value = value;
    this.#read = read;
    this.#onRelease = onRelease;
  }

  get value(): OrtTensor {
    if (this.#value === undefined) throw new LonghandError("engine", `${showType(this)}: used after release`);
    return this.#value;
  }

  async read(): Promise<HostArray> {
    return this.value && this.#read();
  }

  release(): void {
    if (this.#value === undefined) return;
    this.#value = undefined;
    this.#onRelease();
  }
}

interface FunctionContext {
  readonly ort: OrtPackage;
  readonly device: Device;
  readonly traffic: { sent: number; received: number };
  readonly separateMemory: boolean;
  readonly profiled: boolean;
  hold(type: TensorType, value: OrtTensor, onRelease: () => void): HeldTensor;
  onRelease(): void;
}

class OrtFunction implements ResidentFunction {
  readonly #session: InferenceSession;
  readonly #program: Program;
  readonly #context: FunctionContext;
  readonly #feeds: Record<string, OrtTensor> = {};
  readonly #constants: HeldTensor[] = [];
  readonly #host: Record<string, HostArray> = {};
  readonly #fetches: Record<string, OrtTensor | null> = {};
  readonly #resident: readonly string[];
  /** Buffers of tensors that were released, by output. */
  readonly #free: Readonly<Record<string, OrtTensor[]>>;
  /** Tensors on the device that this function made; the session must outlive them. */
  readonly #alive = new Set<HeldTensor>();
  #released = false;
  #ended = false;
  #hostBytes = 0;

  constructor(session: InferenceSession, program: Program, resident: readonly string[], context: FunctionContext) {
    this.#session = session;
    this.#program = program;
    this.#resident = resident;
    this.#free = Object.fromEntries(resident.map((name) => [name, []]));
    this.#context = context;
    for (const [name, { dtype, shape, size }] of program.outputs) {
      if (resident.includes(name)) continue;
      this.#host[name] = hostArray(dtype, size);
      this.#fetches[name] = wrap(context.ort, { dtype, shape }, this.#host[name]);
      this.#hostBytes += this.#host[name].byteLength;
    }
  }

  /** Gives an input that is the same at every run. */
  feed(name: string, constant: DeviceTensor): void {
    if (!(constant instanceof HeldTensor)) throw new LonghandError("engine", `${name}: of another engine`);
    this.#constants.push(constant);
    this.#feeds[name] = constant.value;
  }

  async run(inputs: InputsByName) {
    const { device, traffic, separateMemory } = this.#context;
    if (this.#released) throw new LonghandError("engine", `${this.#program.name}: run after release`);
    this.#bind(inputs);
    const own = this.#ownBuffers();
    let results: Readonly<Record<string, OrtTensor>>;
    try {
      results = await this.#session.run(this.#feeds, own === undefined ? this.#fetches : { ...this.#fetches, ...own });
    } catch (error) {
      throw new LonghandError("engine", `${device} failed in ${this.#program.name}: ${messageOf(error)}`, {
        cause: error,
      });
    }
    traffic.received += this.#hostBytes;
    // A session that leaves outputs on the device writes none into the buffers that it is given.
    if (own !== undefined && separateMemory)
      for (const name in this.#host) this.#host[name] = results[name].data as HostArray;
    const held = this.#resident.map((name) => [name, this.#hold(name, own?.[name] ?? results[name])]);
    return { host: this.#host, device: Object.fromEntries(held) as Record<string, DeviceTensor> };
  }

  /** Where the outputs that stay are written: null leaves it to the device. */
  #ownBuffers(): Record<string, OrtTensor | null> | undefined {
    if (this.#resident.length === 0) return undefined;
    const { ort, separateMemory } = this.#context;
    const own: Record<string, OrtTensor | null> = {};
    for (const name of this.#resident) {
      const type = this.#typeOf(name);
      own[name] = separateMemory
        ? null
        : (this.#free[name].pop() ?? wrap(ort, type, hostArray(type.dtype, sizeOf(type.shape))));
    }
    return own;
  }

  #hold(name: string, value: OrtTensor): HeldTensor {
    const { separateMemory, hold } = this.#context;
    const held = hold(this.#typeOf(name), value, () => {
      this.#alive.delete(held);
      if (separateMemory) value.dispose();
      else if (!this.#released) this.#free[name].push(value);
      if (this.#released) void this.#end();
    });
    this.#alive.add(held);
    return held;
  }

  #typeOf(name: string): TensorType {
    return this.#program.outputs.get(name) as TensorType;
  }

  /** Sets the inputs, keeping the wrapper of an array that was given before under the same name. */
  #bind(inputs: InputsByName): void {
    const { inputs: expected, name: program } = this.#program;
    const { ort, traffic } = this.#context;
    for (const [name, tensor] of expected) {
      const given = inputs[name];
      if (given === undefined)
        throw new LonghandError("engine", `${program}: input ${name} ${showShape(tensor.shape)} is missing`);
      if (given instanceof HeldTensor) {
        if (given.dtype !== tensor.dtype || !sameShape(given.shape, tensor.shape)) {
          throw new LonghandError(
            "engine",
            `${program}: input ${name} expected ${showType(tensor)}, got ${showType(given)}`,
          );
        }
        this.#feeds[name] = given.value;
        continue;
      }
      if (!ArrayBuffer.isView(given))
        throw new LonghandError("engine", `${program}: input ${name} is a tensor of another engine`);
      if (given.length !== sizeOf(tensor.shape)) {
        throw new LonghandError(
          "engine",
          `${program}: input ${name} expected ${tensor.size} elements ${showShape(tensor.shape)}, got ${given.length}`,
        );
      }
      const before = this.#feeds[name];
      if (before?.location !== "cpu" || before.data !== given) this.#feeds[name] = wrap(ort, tensor, given);
      traffic.sent += given.byteLength;
    }
    for (const name of Object.keys(inputs)) {
      if (!expected.has(name)) throw new LonghandError("engine", `${program}: there is no input ${name}`);
    }
  }

  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    await this.#end();
  }

  /** Releases what is left of its tensors as well. */
  async close(): Promise<void> {
    this.#released = true;
    for (const held of [...this.#alive]) held.release();
    await this.#end();
  }

  /** Ends the session once nothing that it made is in use: the runtime crashes in the other order. */
  async #end(): Promise<void> {
    if (this.#ended || this.#alive.size > 0) return;
    this.#ended = true;
    this.#context.onRelease();
    for (const constant of this.#constants.splice(0)) constant.release();
    if (this.#context.profiled) this.#session.endProfiling();
    await this.#session.release();
  }
}

function sessionOptions(
  { name }: Program,
  {
    device,
    threads,
    wholeOnDevice,
    dumpOptimizedTo,
    profileTo,
  }: OrtOptions & { readonly device: Device; readonly threads: number },
  keepDuplicates: boolean,
): InferenceSession.SessionOptions {
  return {
    executionProviders: [device],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: "sequential",
    // The plan of a first run would be allocated as one block beside what the arena already holds: twice the peak.
    enableMemPattern: false,
    graphOptimizationLevel: "all",
    logSeverityLevel: 4, // what fails is thrown, and told once
    ...(dumpOptimizedTo ? { optimizedModelFilePath: `${dumpOptimizedTo}/${name}.onnx` } : {}),
    ...(profileTo ? { enableProfiling: true, profileFilePrefix: `${profileTo}-${name}` } : {}),
    extra: {
      ...(wholeOnDevice ? { session: { disable_cpu_ep_fallback: "1" } } : {}),
      optimization: { disable_specified_optimizers: disabledOptimizers(keepDuplicates).join(";") },
    },
  };
}

/**
 * Transposes stay nodes of their own: fused into the product they make it read columns, which ran at a fifth of the rate
 * of a plain product on a Zen 4 processor (docs/decisions/0003-transposes.md); a separate transpose costs 2 %.
 */
function disabledOptimizers(keepDuplicates: boolean): string[] {
  const names = ["MatmulTransposeFusion", "GemmTransposeFusion"];
  return keepDuplicates ? [...names, "CommonSubexpressionElimination"] : names;
}

function wrap({ Tensor }: OrtPackage, { dtype, shape }: TensorType, data: HostArray): OrtTensor {
  const fits =
    dtype === "float32"
      ? data instanceof Float32Array
      : dtype === "int32"
        ? data instanceof Int32Array
        : data instanceof Uint8Array;
  if (!fits) throw new LonghandError("engine", `expected ${dtype} data, got ${data.constructor.name}`);
  return new Tensor(dtype as "float32", data as Float32Array, [...shape]);
}
