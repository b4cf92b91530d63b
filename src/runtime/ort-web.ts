/**
 * The engine on ONNX Runtime's builds for browsers: WebAssembly, or WebGPU beside it. A build is loaded when its device is
 * first asked for, the smallest that has it. One worker or page has one build, with one number of threads.
 */
import type { InferenceSession } from "onnxruntime-common";
import { LonghandError, messageOf } from "../base/errors.ts";
import type { Engine } from "./engine.ts";
import { OrtEngine, type OrtOptions } from "./ort-engine.ts";
import type { OrtPackage, OrtTensors } from "./ort-function.ts";

export interface OrtWebOptions extends Omit<OrtOptions, "device" | "dumpOptimizedTo" | "profileTo"> {
  readonly device?: "cpu" | "webgpu";
  /** Where the runtime's files lie, if not where the bundler put them. */
  readonly files?: RuntimeFiles | undefined;
}

/** URLs: of the WebAssembly module, and of the script that starts it where that is not in the bundle. */
export interface RuntimeFiles {
  readonly wasm?: string | undefined;
  readonly mjs?: string | undefined;
}

export interface OrtWebEngine {
  readonly engine: Engine;
  /** Settles with the reason when the GPU device is lost; after that the engine is of no use. Never on the CPU. */
  readonly lost: Promise<string>;
}

type Ort = typeof import("onnxruntime-web");

/**
 * Threads take effect where the page is isolated from other origins. Throws "engine" where the runtime cannot be loaded, and
 * for a second engine with another number of threads.
 */
export async function ortWebEngine({ files, ...options }: OrtWebOptions = {}): Promise<OrtWebEngine> {
  const { device = "cpu", threads = 1 } = options;
  const ort = await load(device);
  const { wasm } = ort.env;
  if (wasm.numThreads !== undefined && wasm.numThreads !== threads)
    throw new LonghandError("engine", `threads: expected the ${wasm.numThreads} of the first engine, got ${threads}`);
  wasm.numThreads = threads;
  if (files?.wasm !== undefined || files?.mjs !== undefined) wasm.wasmPaths = defined(files);
  let tellLoss: (reason: string) => void;
  const lost = new Promise<string>((resolve) => {
    tellLoss = resolve;
  });
  const onCreate = () => {
    if (device === "webgpu") void lossOf(ort).then((reason) => reason !== undefined && tellLoss(reason));
  };
  return { engine: new OrtEngine(webPackage(ort, onCreate), { copiesInputs: device === "cpu", ...options }), lost };
}

async function load(device: "cpu" | "webgpu"): Promise<Ort> {
  try {
    if (device === "cpu") return await import("onnxruntime-web/wasm");
    return "Suspending" in WebAssembly ? await import("onnxruntime-web/jspi") : await import("onnxruntime-web/webgpu");
  } catch (error) {
    throw new LonghandError("engine", `the runtime cannot be loaded: ${messageOf(error)}`, { cause: error });
  }
}

/** Sessions that fill the arrays they are given, as those for Node do, and of which one runs at a time. */
function webPackage(ort: Ort, onCreate: () => void): OrtPackage {
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = last.then(work);
    last = done.catch(() => {});
    return done;
  };
  const create = async (model: Uint8Array, options: InferenceSession.SessionOptions) => {
    const session = await inTurn(() => ort.InferenceSession.create(model, options));
    onCreate();
    return {
      async run(feeds: OrtTensors, fetches: Parameters<OrtSessionRun>[1]) {
        const results = await inTurn(() => session.run(feeds, Object.keys(fetches)));
        for (const [name, given] of Object.entries(fetches)) {
          if (given !== null) (given.data as Float32Array).set(results[name].data as Float32Array);
        }
        return results;
      },
      release: () => inTurn(() => session.release()),
    };
  };
  return { InferenceSession: { create }, Tensor: ort.Tensor as OrtPackage["Tensor"] };
}

type OrtSessionRun = Awaited<ReturnType<OrtPackage["InferenceSession"]["create"]>>["run"];

/** The runtime makes the device with the first session, and destroys it with the last: that is no loss. */
async function lossOf({ env }: Ort): Promise<string | undefined> {
  const { reason, message } = await (await env.webgpu.device).lost;
  return reason === "destroyed" ? undefined : message || reason;
}

const defined = (files: RuntimeFiles) =>
  Object.fromEntries(Object.entries(files).filter(([, url]) => url !== undefined));
