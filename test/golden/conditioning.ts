/**
 * How well the stored float32 inputs determine a golden gradient. Gradients of a single scalar (the gain of a ScaleNorm)
 * can be sums that cancel to a thousandth of their terms: then rounding the inputs to float32 alone, as the files do,
 * moves the exact result by more than the tolerance. In model_flash_quad_causal the reference itself, run again in
 * float64 on the stored inputs, is 4e-5 away from the stored gradient of layers.1.norm.gain.
 */
import type { HostArray } from "../../src/base/dtype.ts";
import { randomKey, randomUniform } from "../../src/base/random.ts";
import { compare } from "../support/compare.ts";

export type Arrays = Readonly<Record<string, HostArray>>;

const HALF_UNIT = 2 ** -24;
const TRIALS = 4;
/** A float32 evaluation rounds at every operator, not only its inputs: measured gradients are 3 to 6 half units off. */
const EVALUATION_FACTOR = 4;

/**
 * The relative error that a float32 evaluation of `name` must be allowed: how far the exact (float64) result moves when
 * every input moves by half a float32 unit, times the factor above.
 */
export async function roundingLimit(
  name: string,
  evaluate: (inputs: Arrays) => Promise<Arrays>,
  inputs: Arrays,
): Promise<number> {
  const exact = (await evaluate(inputs))[name].slice();
  let largest = 0;
  for (let trial = 0; trial < TRIALS; trial++) {
    const moved = Object.entries(inputs).map(([path, data]) => [path, nudge(data, randomKey(trial, path))] as const);
    const result = (await evaluate(Object.fromEntries(moved)))[name];
    largest = Math.max(largest, compare(result, exact).relative);
  }
  return EVALUATION_FACTOR * largest;
}

/** Each element times 1 ± half a unit in the last place, in float64. */
function nudge(data: HostArray, key: ReturnType<typeof randomKey>): HostArray {
  if (!(data instanceof Float32Array)) return data;
  const moved = Float64Array.from(data, (x, i) => x * (1 + (randomUniform(key, i) < 0.5 ? -HALF_UNIT : HALF_UNIT)));
  return moved as unknown as Float32Array;
}
