/**
 * ONNX Runtime's C interface (onnxruntime_c_api.h), called through koffi in the library that onnxruntime-node ships. It is one
 * struct of function pointers, to which new versions only append: a function is its place there and the types of its
 * arguments. Each returns a status, null when all is well; those whose names begin with Create write a handle to their last
 * argument.
 */
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

/** The oldest version of the interface that has everything below; newer libraries still offer it. */
const API_VERSION = 4;

const CHARACTERS = process.platform === "win32" ? "str16" : "str"; // of a path

const functions = {
  CreateEnv: [3, "int", "str", "void *"],
  CreateSessionFromArray: [8, "void *", "void *", "size_t", "void *", "void *"],
  Run: [9, "void *", "void *", "void *", "void *", "size_t", "void *", "size_t", "void *"],
  CreateSessionOptions: [10, "void *"],
  SetOptimizedModelFilePath: [11, "void *", CHARACTERS],
  DisableMemPattern: [17, "void *"],
  SetSessionLogSeverityLevel: [22, "void *", "int"],
  SetSessionGraphOptimizationLevel: [23, "void *", "int"],
  SetIntraOpNumThreads: [24, "void *", "int"],
  SetInterOpNumThreads: [25, "void *", "int"],
  CreateTensorWithDataAsOrtValue: [49, "void *", "void *", "size_t", "void *", "size_t", "int", "void *"],
  CreateCpuMemoryInfo: [69, "int", "int", "void *"],
  AddSessionConfigEntry: [130, "void *", "str", "str"],
} as const;

const GET_ERROR_MESSAGE = 2;
const releases = { Status: 93, Session: 95, Value: 96, SessionOptions: 100 } as const;

export type OrtFunctionName = keyof typeof functions;
export type OrtCreateName = Extract<OrtFunctionName, `Create${string}`>;
/** An array stands for its address. */
type Argument = bigint | number | string | null | ArrayBufferView;

interface NativeFunction {
  (...args: readonly unknown[]): unknown;
  /** On a thread of libuv's pool. The callback is the last argument. */
  readonly async: (...args: readonly unknown[]) => void;
}

/** What is used of koffi, which may be missing: an address is a bigint, null stands for none. */
interface Koffi {
  readonly version: string;
  config(): { readonly async_stack_size: number };
  config(changed: { readonly async_stack_size: number }): unknown;
  load(path: string): { func(name: string, result: string, types: readonly string[]): NativeFunction };
  proto(result: string, types: readonly string[]): object;
  decode(address: bigint, offset: number, type: "void *"): bigint | null;
  decode(address: bigint, type: object): NativeFunction;
  address(value: ArrayBufferLike): bigint;
}

/** Kernels and the optimisers of large graphs expect the stack of a thread; koffi gives 128 KiB. */
const STACK_BYTES = 8 * 2 ** 20;

export class OrtCApi {
  /** Of the library and of koffi. */
  readonly versions: { readonly ort: string; readonly koffi: string };
  readonly #koffi: Koffi;
  readonly #functions: Readonly<Record<OrtFunctionName, NativeFunction>>;
  readonly #releases: Readonly<Record<keyof typeof releases, NativeFunction>>;
  readonly #errorMessage: NativeFunction;
  readonly #kept = new Set<object>();

  /** Throws when koffi or the library cannot be loaded. */
  constructor() {
    const require = createRequire(import.meta.url);
    const koffi = require("koffi") as Koffi;
    const stack = Math.max(STACK_BYTES, koffi.config().async_stack_size);
    koffi.config({ async_stack_size: stack });
    const library = koffi.load(libraryPath(require.resolve("onnxruntime-node/package.json")));
    const at = (struct: unknown, place: number, result: string, types: readonly string[]) => {
      const address = koffi.decode(struct as bigint, place * 8, "void *");
      if (address === null) throw new Error(`the library has no function at place ${place}`);
      return koffi.decode(address, koffi.proto(result, types));
    };
    const base = library.func("OrtGetApiBase", "void *", [])();
    const api = at(base, 0, "void *", ["uint32_t"])(API_VERSION);
    if (api === null) throw new Error(`the library does not offer version ${API_VERSION} of its interface`);
    const each = <K extends string, V>(table: Readonly<Record<K, V>>, make: (entry: V) => NativeFunction) =>
      Object.fromEntries(Object.entries<V>(table).map(([name, entry]) => [name, make(entry)])) as Record<
        K,
        NativeFunction
      >;
    this.#functions = each(functions, ([place, ...types]) => at(api, place, "void *", types));
    this.#releases = each(releases, (place) => at(api, place, "void", ["void *"]));
    this.#errorMessage = at(api, GET_ERROR_MESSAGE, "str", ["void *"]);
    this.versions = { ort: String(at(base, 1, "str", [])()), koffi: koffi.version };
    this.#koffi = koffi;
  }

  /** Throws what the library says of a failure. */
  call(name: OrtFunctionName, ...args: readonly Argument[]): void {
    // Arrays are kept until the call has ended: for the garbage collector, nothing else uses one that is only an address.
    this.#kept.add(args);
    try {
      this.#check(this.#functions[name](...this.#native(args)));
    } finally {
      this.#kept.delete(args);
    }
  }

  /** The same on another thread; the event loop goes on. `kept` is kept too, for addresses that stand in arrays. */
  async callAside(kept: object, name: OrtFunctionName, ...args: readonly Argument[]): Promise<void> {
    const all = { kept, args };
    this.#kept.add(all);
    try {
      const status = await new Promise((resolve, reject) => {
        const done = (error: unknown, result: unknown) => (error ? reject(error) : resolve(result));
        this.#functions[name].async(...this.#native(args), done);
      });
      this.#check(status);
    } finally {
      this.#kept.delete(all);
    }
  }

  /** The handle that the function writes. */
  create(name: OrtCreateName, ...args: readonly Argument[]): bigint {
    const handle = new BigUint64Array(1);
    this.call(name, ...args, handle);
    return handle[0];
  }

  async createAside(name: OrtCreateName, ...args: readonly Argument[]): Promise<bigint> {
    const handle = new BigUint64Array(1);
    await this.callAside({}, name, ...args, handle);
    return handle[0];
  }

  release(kind: keyof typeof releases, handle: bigint): void {
    this.#releases[kind](handle);
  }

  /**
   * Valid as long as something that is used later holds the array. The buffer is asked for because without one a small
   * array may still be moved.
   */
  addressOf({ buffer, byteOffset }: ArrayBufferView): bigint {
    return this.#koffi.address(buffer) + BigInt(byteOffset);
  }

  #native(args: readonly Argument[]) {
    return args.map((arg) => (ArrayBuffer.isView(arg) ? this.addressOf(arg) : arg));
  }

  #check(status: unknown): void {
    if (status === null) return;
    const message = String(this.#errorMessage(status as bigint));
    this.release("Status", status as bigint);
    throw new Error(message);
  }
}

/** The library for this platform in the package with this package.json. */
function libraryPath(packageJson: string): string {
  const folder = join(packageJson, "../bin");
  const build = readdirSync(folder).find((name) => name.startsWith("napi-"));
  const names: Partial<Record<NodeJS.Platform, string>> = {
    linux: "libonnxruntime.so.1",
    darwin: "libonnxruntime.1.dylib",
    win32: "onnxruntime.dll",
  };
  const name = names[process.platform];
  if (build === undefined || name === undefined) throw new Error(`no library of ONNX Runtime for ${process.platform}`);
  return join(folder, build, process.platform, process.arch, name);
}
