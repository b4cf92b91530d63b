/**
 * Which engine a page gets: WebGPU where the browser has a device of hardware and it computes what it should, else WebAssembly;
 * with several threads where the page is isolated from other origins. What was chosen is told, and why.
 */
import { LonghandError, messageOf } from "../base/errors.ts";
import { program } from "../graph/program.ts";
import { input } from "../graph/tensor.ts";
import type { Engine } from "../runtime/engine.ts";
import { ortWebEngine, type RuntimeFiles } from "../runtime/ort-web.ts";

export interface EngineOptions {
  /** Default: "auto", webgpu where it works, else cpu: WebAssembly. */
  readonly device?: "auto" | "cpu" | "webgpu" | undefined;
  /** Of one operation on the CPU. Default: those of the machine, at most 4, where the page is isolated; else 1. */
  readonly threads?: number | undefined;
  /** Where the runtime's files lie, if not where the bundler put them. */
  readonly runtime?: RuntimeFiles | undefined;
}

/** What was chosen. */
export interface EngineChoice {
  readonly device: "cpu" | "webgpu";
  readonly threads: number;
  /** Why, as sentences. */
  readonly reason: string;
}

export interface WebEngine {
  readonly engine: Engine;
  readonly choice: EngineChoice;
  /** Rejects when the GPU device is lost, and never settles otherwise. */
  readonly lost: Promise<never>;
}

/** The runtime's own default stops there too. */
const MOST_THREADS = 4;

/** Throws "engine" for a device that is asked for and does not work, "usage" for threads that the page cannot have. */
export async function openWebEngine({ device = "auto", threads, runtime }: EngineOptions = {}): Promise<WebEngine> {
  const { threads: count, reason: why } = chooseThreads(threads);
  if (device === "cpu") return open("cpu", count, `The device was asked for. ${why}`, runtime);
  const found = await findGpu();
  if (device === "webgpu") {
    if (found.name === undefined) throw new LonghandError("engine", `webgpu: ${found.problem}; choose the device cpu`);
    return open("webgpu", 1, `The device was asked for: ${found.name}.`, runtime);
  }
  if (found.name === undefined || found.software) {
    const problem = found.name === undefined ? found.problem : `${found.name} computes with the processor`;
    return open("cpu", count, `WebAssembly, since ${problem}. ${why}`, runtime);
  }
  try {
    return await open("webgpu", 1, `WebGPU: ${found.name}.`, runtime);
  } catch (error) {
    return open("cpu", count, `WebAssembly, since WebGPU does not work here (${messageOf(error)}). ${why}`, runtime);
  }
}

async function open(
  device: "cpu" | "webgpu",
  threads: number,
  reason: string,
  files: RuntimeFiles | undefined,
): Promise<WebEngine> {
  const { engine, lost } = await ortWebEngine({ device, threads, files });
  await tryOut(engine);
  return {
    engine,
    choice: { device, threads, reason },
    lost: lost.then((problem) => {
      throw new LonghandError("engine", `webgpu: the GPU device was lost (${problem}); load the model again`);
    }),
  };
}

/** A product whose result is known. It stays compiled: a GPU device ends with the last program on it. */
async function tryOut(engine: Engine): Promise<void> {
  const product = await engine.compile(program("try", { y: input("a", [2, 2]).matmul(input("b", [2, 2])) }));
  const { y } = await product.run({ a: Float32Array.of(1, 2, 3, 4), b: Float32Array.of(5, 6, 7, 8) });
  const result = Array.from(y);
  await product.release();
  if (result.join() !== "19,22,43,50")
    throw new LonghandError(
      "engine",
      `${engine.device}: expected 19, 22, 43, 50 of a product, got ${result.join(", ")}`,
    );
}

type Gpu =
  | { readonly name: string; readonly software: boolean }
  | { readonly name?: undefined; readonly problem: string };

async function findGpu(): Promise<Gpu> {
  if (navigator.gpu === undefined) {
    return {
      problem: isSecureContext ? "this browser has no WebGPU" : "WebGPU needs a page over https or from localhost",
    };
  }
  const adapter = await navigator.gpu.requestAdapter().catch(() => null);
  if (adapter === null) return { problem: "WebGPU found no graphics processor" };
  const { vendor, architecture, description, isFallbackAdapter } = adapter.info;
  const name = description || [vendor, architecture].filter((part) => part !== "").join(" ") || "a graphics processor";
  return { name, software: isFallbackAdapter || /swiftshader|llvmpipe/i.test(`${name} ${architecture}`) };
}

function chooseThreads(asked: number | undefined): { readonly threads: number; readonly reason: string } {
  if (!crossOriginIsolated) {
    const needs =
      "the page is not isolated (Cross-Origin-Opener-Policy: same-origin, Cross-Origin-Embedder-Policy: require-corp)";
    if (asked === undefined || asked === 1) return { threads: 1, reason: `One thread, since ${needs}.` };
    throw new LonghandError("usage", `threads: expected 1, since ${needs}; got ${asked}`);
  }
  if (asked !== undefined) return { threads: asked, reason: `Threads as asked for: ${asked}.` };
  const threads = Math.min(MOST_THREADS, navigator.hardwareConcurrency);
  return { threads, reason: `${threads} threads: the page is isolated from other origins.` };
}
