/**
 * The best plain matrix products of the runtime: one program a shape, which repeats the product on the same operands
 * and returns one number of each result, so that neither starting a run nor copying results out is timed.
 */
import { randomKey, randomNormals } from "../src/base/random.ts";
import { type Shape, sizeOf } from "../src/base/shape.ts";
import { program } from "../src/graph/program.ts";
import { input, type Tensor } from "../src/graph/tensor.ts";
import type { CompiledFunction, Engine, HostArraysByName } from "../src/runtime/engine.ts";
import type { Product } from "./flops.ts";

export interface ProductTiming {
  readonly a: Shape;
  readonly b: Shape;
  readonly count: number;
  readonly flops: number;
  /** Of one product. */
  readonly milliseconds: number;
}

export interface ProductBench {
  /** Times every shape once. */
  measure(): Promise<ProductTiming[]>;
}

/** Work of one timed run: enough to hide the start of a run. */
const FLOPS_PER_RUN = 4e9;
const MAX_REPEATS = 64;
const RUNS = 3;

export async function createProductBench(engine: Engine, products: readonly Product[]): Promise<ProductBench> {
  const prepared: { product: Product; repeats: number; fn: CompiledFunction; operands: HostArraysByName }[] = [];
  for (const [i, product] of products.entries()) {
    const repeats = Math.min(MAX_REPEATS, Math.max(1, Math.round(FLOPS_PER_RUN / product.flops)));
    const a = input("a", product.a);
    const b = input("b", product.b);
    const results = Array.from({ length: repeats }, () => firstNumber(a.matmul(b)));
    const plain = program(`product-${i}`, { results: results[0].concat(results.slice(1), 0) });
    prepared.push({
      product,
      repeats,
      fn: await engine.compile(plain, { keepDuplicates: true }),
      operands: { a: numbers(product.a), b: numbers(product.b) },
    });
  }
  return {
    async measure() {
      const timings: ProductTiming[] = [];
      for (const { product, repeats, fn, operands } of prepared) {
        let best = Number.POSITIVE_INFINITY;
        for (let run = 0; run < RUNS; run++) {
          const started = performance.now();
          await fn.run(operands);
          best = Math.min(best, performance.now() - started);
        }
        timings.push({ ...product, milliseconds: best / repeats });
      }
      return timings;
    },
  };
}

function firstNumber(x: Tensor): Tensor {
  return x.reshape([x.size]).slice(0, 0, 1);
}

const numbers = (shape: Shape) => randomNormals(randomKey(3, "benchmark operands"), sizeOf(shape));
