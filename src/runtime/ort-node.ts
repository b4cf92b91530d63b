/**
 * The engine on ONNX Runtime's native build for Node. Only this file names onnxruntime-node. Input tensors wrap the
 * caller's arrays without a copy; output buffers are allocated once per function and written by every run.
 */
import { env, InferenceSession, listSupportedBackends, Tensor as OrtTensor } from "onnxruntime-node";
import { type HostArray, hostArray } from "../base/dtype.ts";
import { LonghandError, messageOf } from "../base/errors.ts";
import { showShape, sizeOf } from "../base/shape.ts";
import type { Program } from "../graph/program.ts";
import type { Tensor } from "../graph/tensor.ts";
import { toOnnx } from "../onnx/model.ts";
import type { CompiledFunction, CompileOptions, Device, Engine, HostArraysByName } from "./engine.ts";

export interface OrtNodeOptions {
  /** Threads of one operation. Default: 1; the caller chooses, since the count is part of a run's identity. */
  readonly threads?: number;
  readonly device?: Device;
  /** Joins and splits of more parts are divided. Default: 7 on WebGPU, whose kernels bind 8 buffers; no bound elsewhere. */
  readonly mostParts?: number;
  /** Writes each optimised graph here, for looking at what the runtime made of it. */
  readonly dumpOptimizedTo?: string;
  /** Prefix of a Chrome-trace profile that the runtime writes for each function. */
  readonly profileTo?: string;
}

/** The runtime's version. */
export const ortVersion: string = env.versions.node ?? env.versions.common;

/** Names of the providers that this build of the runtime has. */
export function ortProviders(): string[] {
  return listSupportedBackends().map(({ name }) => name);
}

export function ortNodeEngine(options: OrtNodeOptions = {}): Engine {
  const { threads = 1, device = "cpu" } = options;
  const open = new Set<CompiledFunction>();
  return {
    device,
    threads,
    async compile(program, compileOptions = {}) {
      const compiled = await compile(program, compileOptions, { ...options, threads, device }, (f) => open.delete(f));
      open.add(compiled);
      return compiled;
    },
    async close() {
      for (const compiled of [...open]) await compiled.release();
    },
  };
}

async function compile(
  program: Program,
  { keepDuplicates = false }: CompileOptions,
  { threads, device, mostParts, dumpOptimizedTo, profileTo }: OrtNodeOptions & { threads: number; device: Device },
  onRelease: (f: CompiledFunction) => void,
): Promise<CompiledFunction> {
  const { bytes, constants } = toOnnx(program, { mostParts: mostParts ?? (device === "webgpu" ? 7 : undefined) });
  let session: InferenceSession;
  try {
    session = await InferenceSession.create(bytes, {
      executionProviders: [device],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      executionMode: "sequential",
      // The plan of a first run would be allocated as one block beside what the arena already holds: twice the peak.
      enableMemPattern: false,
      graphOptimizationLevel: "all",
      logSeverityLevel: 4, // what fails is thrown, and told once
      ...(dumpOptimizedTo ? { optimizedModelFilePath: `${dumpOptimizedTo}/${program.name}.onnx` } : {}),
      ...(profileTo ? { enableProfiling: true, profileFilePrefix: `${profileTo}-${program.name}` } : {}),
      extra: { optimization: { disable_specified_optimizers: disabledOptimizers(keepDuplicates).join(";") } },
    });
  } catch (error) {
    throw new LonghandError("engine", `${device} could not prepare ${program.name}: ${messageOf(error)}`, {
      cause: error,
    });
  }

  const feeds: Record<string, OrtTensor> = {};
  for (const [name, tensor] of constants) {
    if (tensor.node.kind === "constant") feeds[name] = wrap(tensor, tensor.node.data);
  }
  const results: Record<string, HostArray> = {};
  const fetches: Record<string, OrtTensor> = {};
  for (const [name, tensor] of program.outputs) {
    results[name] = hostArray(tensor.dtype, tensor.size);
    fetches[name] = wrap(tensor, results[name]);
  }

  let released = false;
  const compiled: CompiledFunction = {
    async run(inputs) {
      if (released) throw new LonghandError("engine", `${program.name}: run after release`);
      bind(program, inputs, feeds);
      try {
        await session.run(feeds, fetches);
      } catch (error) {
        throw new LonghandError("engine", `${device} failed in ${program.name}: ${messageOf(error)}`, { cause: error });
      }
      return results;
    },
    async release() {
      if (released) return;
      released = true;
      onRelease(compiled);
      if (profileTo) session.endProfiling();
      await session.release();
    },
  };
  return compiled;
}

/**
 * Transposes stay nodes of their own: fused into the product they make it read columns, which ran at a fifth of the rate
 * of a plain product on a Zen 4 processor (docs/decisions/0003-transposes.md); a separate transpose costs 2 %.
 */
function disabledOptimizers(keepDuplicates: boolean): string[] {
  const names = ["MatmulTransposeFusion", "GemmTransposeFusion"];
  return keepDuplicates ? [...names, "CommonSubexpressionElimination"] : names;
}

/** Wraps the given arrays as feeds, keeping the wrapper of an array that was given before under the same name. */
function bind(
  { name: program, inputs: expected }: Program,
  inputs: HostArraysByName,
  feeds: Record<string, OrtTensor>,
): void {
  for (const [name, tensor] of expected) {
    const data = inputs[name];
    if (data === undefined)
      throw new LonghandError("engine", `${program}: input ${name} ${showShape(tensor.shape)} is missing`);
    if (data.length !== sizeOf(tensor.shape)) {
      throw new LonghandError(
        "engine",
        `${program}: input ${name} expected ${tensor.size} elements ${showShape(tensor.shape)}, got ${data.length}`,
      );
    }
    if (feeds[name]?.data !== data) feeds[name] = wrap(tensor, data);
  }
  for (const name of Object.keys(inputs)) {
    if (!expected.has(name)) throw new LonghandError("engine", `${program}: there is no input ${name}`);
  }
}

function wrap(tensor: Tensor, data: HostArray): OrtTensor {
  const fits =
    tensor.dtype === "float32"
      ? data instanceof Float32Array
      : tensor.dtype === "int32"
        ? data instanceof Int32Array
        : data instanceof Uint8Array;
  if (!fits) throw new LonghandError("engine", `expected ${tensor.dtype} data, got ${data.constructor.name}`);
  return new OrtTensor(tensor.dtype as "float32", data as Float32Array, [...tensor.shape]);
}
