/** How fast a device multiplies matrices: the measure of what a training could reach at most. */
import { program } from "../../graph/program.ts";
import { input } from "../../graph/tensor.ts";
import type { Device } from "../../runtime/engine.ts";
import { ortNodeEngine } from "../../runtime/ort-node.ts";

export interface ProductRequest {
  readonly device: Device;
  readonly threads: number;
  /** Of the matrices [size, size]. */
  readonly size: number;
  /** Runs go on for so long, and the fastest counts. Default: 0, a single run. */
  readonly seconds?: number;
}

/** Products of one run, each of the result of the one before. */
const PRODUCTS = 4;

/** Milliseconds of a run. Throws where the device does not work. */
export async function productsMs({ device, threads, size, seconds = 0 }: ProductRequest): Promise<number> {
  const engine = ortNodeEngine({ device, threads });
  try {
    const x = input("x", [size, size]);
    let product = x;
    for (let i = 0; i < PRODUCTS; i++) product = product.matmul(x);
    const compiled = await engine.compile(program("products", { sum: product.sum([0]).sum([1]) }));
    const data = new Float32Array(size * size).fill(1 / size);
    const tensor = await engine.upload({ dtype: "float32", shape: [size, size], data });
    await compiled.run({ x: tensor }); // prepares kernels and buffers
    let best = Number.POSITIVE_INFINITY;
    const began = performance.now();
    do {
      const started = performance.now();
      await compiled.run({ x: tensor });
      best = Math.min(best, performance.now() - started);
    } while (performance.now() - began < 1000 * seconds);
    return best;
  } finally {
    await engine.close();
  }
}

/** Floating-point operations of a run: 2 size³ for each product. */
export const productFlops = (size: number) => PRODUCTS * 2 * size ** 3;

/** Floating-point operations a second. */
export async function productRate(request: ProductRequest): Promise<number> {
  return productFlops(request.size) / ((await productsMs(request)) / 1000);
}
