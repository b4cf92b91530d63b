/**
 * A compiled function of the engine on ONNX Runtime, and the tensors that it leaves on the device. Where the device computes in
 * the host's memory, inputs wrap the caller's arrays, and outputs are written into buffers that are kept: those that go to
 * the host are the function's own, those that stay are written again once they have been released.
 */
import type { InferenceSession, Tensor as OrtTensor } from "onnxruntime-common";
import { type HostArray, hostArray, isArrayOf, type TensorType } from "../base/dtype.ts";
import { LonghandError, messageOf } from "../base/errors.ts";
import { sameShape, showShape, sizeOf } from "../base/shape.ts";
import { showType } from "../graph/operator.ts";
import type { Program } from "../graph/program.ts";
import type { Device, DeviceTensor, InputsByName, ResidentFunction } from "./engine.ts";

export type OrtTensors = Readonly<Record<string, OrtTensor>>;

/** What is used of an onnxruntime package. */
export interface OrtPackage {
  readonly InferenceSession: {
    create(model: Uint8Array, options: InferenceSession.SessionOptions): Promise<OrtSession>;
  };
  readonly Tensor: new (type: "float32", data: Float32Array, dims: readonly number[]) => OrtTensor;
}

export interface OrtSession {
  /** Outputs are written where `fetches` say; where one says null, the device keeps it. */
  run(feeds: OrtTensors, fetches: Readonly<Record<string, OrtTensor | null>>): Promise<OrtTensors>;
  release(): Promise<void>;
}

/** A tensor of this engine. */
export class HeldTensor implements DeviceTensor {
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
  hold(type: TensorType, value: OrtTensor, onRelease: () => void): HeldTensor;
  onRelease(): void;
}

export class OrtFunction implements ResidentFunction {
  readonly #session: OrtSession;
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
  /** The run that is under way. */
  #running: Promise<unknown> | undefined;
  #released = false;
  #ended = false;
  #hostBytes = 0;

  constructor(session: OrtSession, program: Program, resident: readonly string[], context: FunctionContext) {
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
    const { name } = this.#program;
    if (this.#released) throw new LonghandError("engine", `${name}: run after release`);
    if (this.#running !== undefined)
      throw new LonghandError("engine", `${name}: expected one run at a time, got another; await each before the next`);
    const running = this.#run(inputs);
    this.#running = running;
    try {
      return await running;
    } finally {
      this.#running = undefined;
    }
  }

  async #run(inputs: InputsByName) {
    const { device, traffic, separateMemory } = this.#context;
    this.#bind(inputs);
    const own = this.#ownBuffers();
    let results: OrtTensors;
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
      requireSize(program, name, tensor, given);
      const before = this.#feeds[name];
      if (before?.location !== "cpu" || before.data !== given) this.#feeds[name] = wrap(ort, tensor, given);
      traffic.sent += given.byteLength;
    }
    for (const name of Object.keys(inputs)) {
      if (!expected.has(name)) throw new LonghandError("engine", `${program}: there is no input ${name}`);
    }
  }

  async release(): Promise<void> {
    this.#released = true;
    await this.#idle();
    await this.#end();
  }

  /** Releases what is left of its tensors as well. */
  async close(): Promise<void> {
    this.#released = true;
    await this.#idle();
    for (const held of [...this.#alive]) held.release();
    await this.#end();
  }

  /** Until no run is under way. */
  async #idle(): Promise<void> {
    await this.#running?.catch(() => {});
  }

  /** Ends the session once nothing that it made is in use: the runtime crashes in the other order. */
  async #end(): Promise<void> {
    if (this.#ended || this.#alive.size > 0) return;
    this.#ended = true;
    this.#context.onRelease();
    for (const constant of this.#constants.splice(0)) constant.release();
    await this.#session.release();
  }
}

/** Throws "engine" for an input that there is not, or an array of another size. */
export function requireInput({ name: program, inputs }: Program, name: string, data: HostArray): void {
  const tensor = inputs.get(name);
  if (tensor === undefined) throw new LonghandError("engine", `${program}: there is no input ${name}`);
  requireSize(program, name, tensor, data);
}

function requireSize(program: string, name: string, { shape }: TensorType, { length }: HostArray): void {
  const size = sizeOf(shape);
  if (length === size) return;
  throw new LonghandError(
    "engine",
    `${program}: input ${name} expected ${size} elements ${showShape(shape)}, got ${length}`,
  );
}

export function wrap({ Tensor }: OrtPackage, { dtype, shape }: TensorType, data: HostArray): OrtTensor {
  if (!isArrayOf(dtype, data))
    throw new LonghandError("engine", `expected ${dtype} data, got ${data.constructor.name}`);
  return new Tensor(dtype as "float32", data as Float32Array, [...shape]);
}
