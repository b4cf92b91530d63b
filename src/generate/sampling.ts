/**
 * Chooses the next token: a pure function of the logits, the options and one uniform random number. Temperature first,
 * then top-k (Fan et al. 2018, "Hierarchical Neural Story Generation"), then top-p of what is left (Holtzman et al.
 * 2020, "The Curious Case of Neural Text Degeneration"), the order in which other libraries apply them.
 */
import { LonghandError } from "../base/errors.ts";
import { firstByCount, firstByWeight, idsOf, rankedKeys, totalWeight } from "./selection.ts";

export interface SamplingOptions {
  /** Divides the logits; 0 always takes the likeliest token. Default 1. */
  readonly temperature?: number | undefined;
  /** Only the k likeliest tokens can be chosen. Default: all. */
  readonly topK?: number | undefined;
  /** Only the fewest likeliest tokens with a total probability of at least p can be chosen. Default 1: all. */
  readonly topP?: number | undefined;
}

/** Throws "usage" for options outside their range. */
export function checkSampling({ temperature = 1, topK = 1, topP = 1 }: SamplingOptions): void {
  if (!(Number.isFinite(temperature) && temperature >= 0))
    throw new LonghandError("usage", `\`temperature\`: expected a number of 0 or more, got ${temperature}`);
  if (!(Number.isInteger(topK) && topK >= 1))
    throw new LonghandError("usage", `\`topK\`: expected a whole number of 1 or more, got ${topK}`);
  if (!(topP > 0 && topP <= 1))
    throw new LonghandError("usage", `\`topP\`: expected a number above 0 and up to 1, got ${topP}`);
}

/**
 * The index of the chosen token. `logits` [V] may hold -Infinity for tokens that must not be chosen; `uniform` is in
 * [0, 1). Of equal logits the one with the lower index counts as likelier. Throws "diverged" for NaN, +Infinity or when
 * no token can be chosen.
 */
export function sample(logits: Float32Array, options: SamplingOptions & { readonly uniform: number }): number {
  const { temperature = 1, topK = logits.length, topP = 1, uniform } = options;
  checkSampling(options);
  const best = likeliest(logits);
  if (temperature === 0) return best;
  const weights = new Float64Array(logits.length);
  for (let id = 0; id < logits.length; id++) weights[id] = Math.exp((logits[id] - logits[best]) / temperature);

  let candidates: Int32Array | undefined; // undefined: all, in order
  if (topK < logits.length || topP < 1) {
    const keys = firstByCount(rankedKeys(logits), topK);
    candidates = idsOf(topP < 1 ? firstByWeight(keys, weights, topP * totalWeight(keys, weights)) : keys);
  }
  const count = candidates?.length ?? logits.length;
  let remaining = 0;
  for (let i = 0; i < count; i++) remaining += weights[candidates ? candidates[i] : i];
  remaining *= uniform;
  let chosen = best;
  for (let i = 0; i < count && remaining >= 0; i++) {
    const id = candidates ? candidates[i] : i;
    if (weights[id] > 0) chosen = id; // the last one, in case rounding leaves a remainder
    remaining -= weights[id];
  }
  return chosen;
}

function likeliest(logits: Float32Array): number {
  let best = -1;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id];
    if (!(logit < Number.POSITIVE_INFINITY)) {
      throw new LonghandError("diverged", `logit of token ${id}: expected a finite number, got ${logit}`);
    }
    if (logit > (best < 0 ? Number.NEGATIVE_INFINITY : logits[best])) best = id;
  }
  if (best < 0)
    throw new LonghandError("diverged", `logits: expected one that is finite, got ${logits.length} of -Infinity`);
  return best;
}
