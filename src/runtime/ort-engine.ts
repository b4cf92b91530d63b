/**
 * The engine on ONNX Runtime, whichever of its packages is given (ort-node.ts chooses one for Node). On WebGPU, tensors
 * that stay are GPU buffers. They are uploaded and read by programs of one Identity, because the binding for Node ends the
 * process when a GPU buffer is asked for its data.
 */
import type { InferenceSession, Tensor as OrtTensor } from "onnxruntime-common";
import type { HostArray, HostTensor, TensorType } from "../base/dtype.ts";
import { LonghandError, messageOf } from "../base/errors.ts";
import { showType } from "../graph/operator.ts";
import { type Program, program } from "../graph/program.ts";
import { input } from "../graph/tensor.ts";
import { toOnnx } from "../onnx/model.ts";
import type { CompiledFunction, CompileOptions, Device, DeviceTensor, Engine, ResidentFunction } from "./engine.ts";
import { HeldTensor, OrtFunction, type OrtPackage, type OrtSession, requireInput, wrap } from "./ort-function.ts";

export interface OrtOptions {
  /** Threads of one operation. Default: 1; the caller chooses, since the count is part of a run's identity. */
  readonly threads?: number;
  readonly device?: Device;
  /** Concat and Split of more parts are divided. Default: 7 on WebGPU, whose kernels bind 8 buffers; elsewhere no limit. */
  readonly mostParts?: number;
  /** Writes fewer, larger nodes, of the runtime's own where it has them. Default: on WebGPU, where each costs a launch. */
  readonly fewNodes?: boolean;
  /** Makes it an error when an operator falls back from the device to the CPU. Default: false. */
  readonly wholeOnDevice?: boolean;
  /** Writes each optimised graph here, for looking at what the runtime made of it. */
  readonly dumpOptimizedTo?: string;
  /** Writes the runtime's profile of each program into this folder, under the program's name, when it is released. */
  readonly profileTo?: string;
  /** Whether this package copies inputs at every run (engine.ts). Default: false. */
  readonly copiesInputs?: boolean;
  /** More of the runtime's session options, by their keys (onnxruntime_session_options_config_keys.h). */
  readonly config?: Readonly<Record<string, string>>;
}

/** A WebGPU kernel may bind 8 storage buffers: the parts and their whole. */
const WEBGPU_PARTS = 7;

/**
 * How long threads of a session wait awake for more work. Left to itself the runtime spins for 30 ms after every part of a step
 * that one thread does alone, and takes that time from other processes (docs/decisions/0033-the-binding.md).
 */
const SPIN_MICROSECONDS = 1000;

export class OrtEngine implements Engine {
  readonly device: Device;
  readonly threads: number;
  readonly separateMemory: boolean;
  readonly copiesInputs: boolean;
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
    this.copiesInputs = options.copiesInputs ?? false;
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

  async #compile(
    program: Program,
    resident: readonly string[],
    { keepDuplicates = false, fixed = {} }: CompileOptions,
  ) {
    for (const name of resident) {
      if (!program.outputs.has(name))
        throw new LonghandError("engine", `${program.name}: expected an output to stay on the device, got ${name}`);
    }
    const { device, threads } = this;
    const { mostParts = device === "webgpu" ? WEBGPU_PARTS : undefined, fewNodes = device === "webgpu" } =
      this.#options;
    const fuseTransposes = device === "cpu" && !fewNodes;
    for (const [name, data] of Object.entries(fixed)) requireInput(program, name, data);
    const { bytes, constants } = toOnnx(program, { mostParts, fuseTransposes, fewNodes, fixed });
    let session: OrtSession;
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
    const given = new Map([...program.inputs].filter(([name]) => !Object.hasOwn(fixed, name)));
    const compiled = new OrtFunction(session, { ...program, inputs: given }, resident, {
      ort: this.#ort,
      device,
      traffic: this.traffic,
      separateMemory: this.separateMemory,
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
    identity.catch(() => this.#transfers.delete(key));
    const done = this.#lastTransfer.then(async () => result(await (await identity).run({ x })));
    this.#lastTransfer = done.catch(() => {});
    return done;
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
    config,
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
    logSeverityLevel: 4, // failures are thrown, not logged as well
    ...(dumpOptimizedTo ? { optimizedModelFilePath: `${dumpOptimizedTo}/${name}.onnx` } : {}),
    ...(profileTo ? { enableProfiling: true, profileFilePrefix: `${profileTo}/${name}` } : {}),
    extra: {
      ...(wholeOnDevice ? { "session.disable_cpu_ep_fallback": "1" } : {}),
      "optimization.disable_specified_optimizers": disabledOptimizers(keepDuplicates).join(";"),
      "session.intra_op.spin_duration_us": String(SPIN_MICROSECONDS),
      ...config,
    },
  };
}

/**
 * Transposes of left operands stay nodes of their own: fused into the product they make it read columns, which ran at a
 * fifth of the rate of a plain product on a Zen 4 processor (docs/decisions/0003-transposes.md); a separate transpose costs
 * 2 %. Those of right operands are fused by onnx/transposed.ts.
 */
function disabledOptimizers(keepDuplicates: boolean): string[] {
  const names = ["MatmulTransposeFusion", "GemmTransposeFusion"];
  return keepDuplicates ? [...names, "CommonSubexpressionElimination"] : names;
}
