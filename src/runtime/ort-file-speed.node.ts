/** How fast ONNX Runtime runs a model that lies in a file, as any program would load it. */
import { InferenceSession, Tensor } from "onnxruntime-node";
import { LonghandError } from "../base/errors.ts";
import { sizeOf } from "../base/shape.ts";

const WARM_UP = 5;
const LEAST_RUNS = 20;
const LEAST_MS = 500;

const arrays = { float32: Float32Array, int32: Int32Array, int64: BigInt64Array, bool: Uint8Array } as const;

/** Runs a second, one after the other, on inputs that are all zero; sizes that are open are 1. Throws "engine". */
export async function runsPerSecond(path: string, { threads }: { readonly threads: number }): Promise<number> {
  const session = await InferenceSession.create(path, { intraOpNumThreads: threads });
  try {
    const feeds = Object.fromEntries(session.inputMetadata.map((input) => [input.name, zeros(input, path)]));
    for (let i = 0; i < WARM_UP; i++) await session.run(feeds);
    const began = performance.now();
    let runs = 0;
    while (runs < LEAST_RUNS || performance.now() - began < LEAST_MS) {
      await session.run(feeds);
      runs += 1;
    }
    return (1000 * runs) / (performance.now() - began);
  } finally {
    await session.release();
  }
}

function zeros(input: InferenceSession.ValueMetadata, path: string): Tensor {
  const type = input.isTensor ? input.type : "no tensor";
  if (!input.isTensor || !Object.hasOwn(arrays, type))
    throw new LonghandError(
      "engine",
      `${path}: input ${input.name}: expected ${Object.keys(arrays).join(", ")}, got ${type}`,
    );
  const dims = input.shape.map((size) => (typeof size === "number" && size > 0 ? size : 1));
  const own = type as keyof typeof arrays;
  return new Tensor(own, new arrays[own](sizeOf(dims)) as Float32Array, dims);
}
