/**
 * ONNX Runtime on the CPU through its C interface, in the shape of onnxruntime-node. Runs are off the event loop, read
 * inputs in place and write outputs into the given arrays.
 */
import { type InferenceSession, Tensor } from "onnxruntime-common";
import { OrtCApi } from "./ort-c-api.node.ts";
import type { OrtPackage, OrtSession, OrtTensors } from "./ort-function.ts";

/** Element types by their numbers in onnxruntime_c_api.h. */
const elementTypes: Readonly<Record<string, number>> = { float32: 1, int32: 6, bool: 9 };
const LOG_FATAL = 4;
const ARENA_ALLOCATOR = 1;
const DEFAULT_MEMORY = 0;
const OPTIMIZE_ALL = 99;

export interface OrtCPackage extends OrtPackage {
  readonly versions: OrtCApi["versions"];
}

let loaded: OrtCPackage | undefined;

/** Loaded once in a process. Throws when koffi or the library cannot be loaded. */
export function ortCPackage(): OrtCPackage {
  loaded ??= createPackage(new OrtCApi());
  return loaded;
}

function createPackage(api: OrtCApi): OrtCPackage {
  const env = api.create("CreateEnv", LOG_FATAL, "longhand");
  const values = new Values(api);
  const create = async (model: Uint8Array, options: InferenceSession.SessionOptions) => {
    const settings = api.create("CreateSessionOptions");
    try {
      configure(api, settings, options);
      const handle = await api.createAside("CreateSessionFromArray", env, model, model.byteLength, settings);
      return new CSession(api, values, handle);
    } finally {
      api.release("SessionOptions", settings);
    }
  };
  return { Tensor, InferenceSession: { create }, versions: api.versions };
}

/** Knows the options that ort-engine.ts sets. */
function configure(api: OrtCApi, settings: bigint, options: InferenceSession.SessionOptions): void {
  const { intraOpNumThreads = 0, interOpNumThreads = 0, enableMemPattern, optimizedModelFilePath, extra } = options;
  api.call("SetIntraOpNumThreads", settings, intraOpNumThreads);
  api.call("SetInterOpNumThreads", settings, interOpNumThreads);
  api.call("SetSessionGraphOptimizationLevel", settings, OPTIMIZE_ALL);
  api.call("SetSessionLogSeverityLevel", settings, LOG_FATAL);
  if (enableMemPattern === false) api.call("DisableMemPattern", settings);
  if (optimizedModelFilePath) api.call("SetOptimizedModelFilePath", settings, optimizedModelFilePath);
  for (const [key, value] of Object.entries(extra ?? {}))
    api.call("AddSessionConfigEntry", settings, key, String(value));
}

/** The library's handles of tensors: made when a tensor is first used, released some time after it has become garbage. */
class Values {
  readonly #api: OrtCApi;
  readonly #memory: bigint;
  readonly #handles = new WeakMap<Tensor, bigint>();
  readonly #garbage: FinalizationRegistry<bigint>;

  constructor(api: OrtCApi) {
    this.#api = api;
    this.#memory = api.create("CreateCpuMemoryInfo", ARENA_ALLOCATOR, DEFAULT_MEMORY);
    this.#garbage = new FinalizationRegistry((handle) => api.release("Value", handle));
  }

  of(tensor: Tensor): bigint {
    const data = tensor.data as Float32Array | Int32Array | Uint8Array;
    // A handle of memory that is gone would be followed all the same.
    if (data.length !== tensor.size)
      throw new Error(`an array of ${tensor.size} elements has ${data.length} now; do not transfer its buffer`);
    const known = this.#handles.get(tensor);
    if (known !== undefined) return known;
    const shape = BigInt64Array.from(tensor.dims, BigInt);
    const handle = this.#api.create(
      "CreateTensorWithDataAsOrtValue",
      ...[this.#memory, data, data.byteLength, shape, shape.length, elementTypes[tensor.type]],
    );
    this.#handles.set(tensor, handle);
    this.#garbage.register(tensor, handle);
    return handle;
  }
}

class CSession implements OrtSession {
  readonly #api: OrtCApi;
  readonly #values: Values;
  readonly #handle: bigint;
  /** Names of inputs and outputs, each ending in a zero, by name. */
  readonly #names = new Map<string, Uint8Array>();

  constructor(api: OrtCApi, values: Values, handle: bigint) {
    this.#api = api;
    this.#values = values;
    this.#handle = handle;
  }

  async run(feeds: OrtTensors, fetches: OrtTensors): Promise<OrtTensors> {
    const inputs = this.#pointers(feeds);
    const outputs = this.#pointers(fetches);
    const noOptions = null;
    await this.#api.callAside(
      { feeds: { ...feeds }, fetches: { ...fetches }, names: this.#names },
      ...(["Run", this.#handle, noOptions] as const),
      ...[inputs.names, inputs.values, inputs.names.length],
      ...[outputs.names, outputs.names.length, outputs.values],
    );
    return fetches;
  }

  async release(): Promise<void> {
    this.#api.release("Session", this.#handle);
  }

  #pointers(tensors: OrtTensors) {
    const entries = Object.entries(tensors);
    const names = BigUint64Array.from(entries, ([name]) => this.#api.addressOf(this.#nameOf(name)));
    const values = BigUint64Array.from(entries, ([, tensor]) => this.#values.of(tensor));
    return { names, values };
  }

  #nameOf(name: string): Uint8Array {
    const known = this.#names.get(name) ?? new TextEncoder().encode(`${name}\0`);
    this.#names.set(name, known);
    return known;
  }
}
