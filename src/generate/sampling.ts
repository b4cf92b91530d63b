/**
 * Chooses the next token: a function of the logits, the text so far, the options and one uniform random number. In the
 * order of Hugging Face transformers: the repetition penalty on the model's logits; the temperature; then what cuts off
 * tokens, each of what the one before has left: top-k (Fan et al. 2018, "Hierarchical Neural Story Generation"), top-p
 * (Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration"), min-p (Nguyen et al. 2024, "Turning Up the
 * Heat") and typical-p (Meister et al. 2022, "Locally Typical Sampling").
 */
import { LonghandError } from "../base/errors.ts";
import { LONGEST_WINDOW, RecentTokens } from "./recent-tokens.ts";
import { firstByCount, firstByWeight, idsOf, rankedKeys, totalWeight } from "./selection.ts";
import { softmaxWeights } from "./softmax-weights.ts";

export interface SamplingOptions {
  /** Divides the logits; 0 always takes the likeliest token. Default 1. */
  readonly temperature?: number | undefined;
  /** Only the k likeliest tokens can be chosen. Default: all. */
  readonly topK?: number | undefined;
  /** Only the fewest likeliest tokens with a total probability of at least p can be chosen. Default 1: all. */
  readonly topP?: number | undefined;
  /** Only tokens at least p times as likely as the likeliest can be chosen. Default 0: all. */
  readonly minP?: number | undefined;
  /**
   * Only the fewest tokens with a total probability of at least p can be chosen whose -ln(probability) is nearest to
   * the entropy: neither the surprising ones nor those that say less than expected. Default 1: all.
   */
  readonly typicalP?: number | undefined;
  /** Divides the positive logits of recent tokens and multiplies their negative ones. Default 1: no change. */
  readonly repetitionPenalty?: number | undefined;
  /** How many of the last tokens count as recent. Default 256. */
  readonly repetitionWindow?: number | undefined;
}

const REPETITION_WINDOW = 256;

/** What each option can be, in words and as a condition. */
const RANGES: Readonly<Record<keyof SamplingOptions, readonly [string, (value: number) => boolean]>> = {
  temperature: ["a number of 0 or more", (value) => Number.isFinite(value) && value >= 0],
  topK: ["a whole number of 1 or more", (value) => Number.isInteger(value) && value >= 1],
  topP: ["a number above 0 and up to 1", (value) => value > 0 && value <= 1],
  minP: ["a number from 0 to 1", (value) => value >= 0 && value <= 1],
  typicalP: ["a number above 0 and up to 1", (value) => value > 0 && value <= 1],
  repetitionPenalty: ["a number above 0", (value) => Number.isFinite(value) && value > 0],
  repetitionWindow: [
    `a whole number from 1 to ${LONGEST_WINDOW}`,
    (value) => Number.isInteger(value) && value >= 1 && value <= LONGEST_WINDOW,
  ],
};

/** Throws "usage" for options outside their range. */
export function checkSampling(options: SamplingOptions): void {
  for (const [name, [expected, holds]] of Object.entries(RANGES)) {
    const value = options[name as keyof SamplingOptions];
    if (value !== undefined && !holds(value))
      throw new LonghandError("usage", `\`${name}\`: expected ${expected}, got ${value}`);
  }
}

/**
 * The index of the chosen token. `logits` [V] may hold -Infinity for tokens that must not be chosen; `before` are the
 * tokens of the text so far, for the repetition penalty; `uniform` is in [0, 1). Of equal logits the one with the lower
 * index counts as likelier. Throws "usage" for options outside their range; "diverged" for NaN, +Infinity or when no
 * token can be chosen.
 */
export function sample(
  logits: Float32Array,
  options: SamplingOptions & { readonly before?: ArrayLike<number> | undefined; readonly uniform: number },
): number {
  const { before = [], uniform, repetitionWindow = REPETITION_WINDOW } = options;
  const sampler = new Sampler(logits.length, options);
  for (let at = Math.max(0, before.length - repetitionWindow); at < before.length; at++) sampler.read(before[at]);
  return sampler.choose(logits, uniform);
}

/** Chooses token after token of one text, like `sample`; its arrays are made once. */
export class Sampler {
  readonly #options: { readonly [Name in Exclude<keyof SamplingOptions, "repetitionWindow">]-?: number };
  readonly #recent: RecentTokens | undefined;
  /** By token, [V]: logits after the penalty; probabilities up to a factor; for typical-p, how near to the entropy. */
  readonly #scores: Float32Array;
  readonly #weights: Float64Array;
  readonly #nearness: Float32Array;
  /** Room for the tokens that are left, [V]. */
  readonly #keys: Float64Array;
  readonly #ids: Int32Array;
  /** The tokens among which the last choice was made; undefined: all. */
  #left: Int32Array | undefined;

  /** Throws like checkSampling. */
  constructor(V: number, options: SamplingOptions) {
    checkSampling(options);
    const { temperature = 1, topK = V, topP = 1, minP = 0, typicalP = 1 } = options;
    const { repetitionPenalty = 1, repetitionWindow = REPETITION_WINDOW } = options;
    this.#options = { temperature, topK, topP, minP, typicalP, repetitionPenalty };
    this.#recent = repetitionPenalty === 1 ? undefined : new RecentTokens(V, repetitionWindow);
    this.#scores = new Float32Array(V);
    this.#weights = new Float64Array(V);
    this.#nearness = new Float32Array(V);
    this.#keys = new Float64Array(V);
    this.#ids = new Int32Array(V);
  }

  /** Takes note of a token of the text, for the repetition penalty. */
  read(token: number): void {
    this.#recent?.add(token);
  }

  /** See `sample`. */
  choose(logits: Float32Array, uniform: number): number {
    const { temperature, topK, topP, minP, typicalP, repetitionPenalty } = this.#options;
    const [V, scores, weights, ids] = [logits.length, this.#scores, this.#weights, this.#ids];
    scores.set(logits);
    this.#recent?.penalise(scores, repetitionPenalty);
    const best = likeliest(scores);
    if (temperature === 0) {
      ids[0] = best;
      weights[best] = 1;
      this.#left = ids.subarray(0, 1);
      return best;
    }
    const largest = scores[best];
    if (topK >= V && topP === 1 && minP === 0 && typicalP === 1) {
      this.#left = undefined;
      return drawOfAll(weights, softmaxWeights(scores, weights, { largest, temperature }) * uniform);
    }

    let left = allIds(ids);
    if (topK < V) {
      left = idsOf(firstByCount(rankedKeys(scores, { keys: this.#keys }), topK), ids);
      for (let i = 0; i < left.length; i++) weights[left[i]] = Math.exp((scores[left[i]] - largest) / temperature);
    } else softmaxWeights(scores, weights, { largest, temperature });
    if (topP < 1) {
      const keys = topK < V ? this.#keys.subarray(0, topK) : rankedKeys(scores, { keys: this.#keys });
      left = idsOf(firstByWeight(keys, weights, topP * totalWeight(keys, weights)), ids);
    }
    if (minP > 0) left = likelyEnough(left, weights, minP);
    if (typicalP < 1) left = this.#mostTypical(left, typicalP);
    this.#left = left;
    return draw(left, weights, uniform);
  }

  /** Entropy in nats of the distribution from which the last token was drawn. */
  entropy(): number {
    return entropyOf(this.#left ?? allIds(this.#ids), this.#weights);
  }

  /** The fewest of the tokens nearest to their entropy that have the share `mass` of their probability. */
  #mostTypical(left: Int32Array, mass: number): Int32Array {
    const [weights, nearness] = [this.#weights, this.#nearness];
    const entropy = entropyOf(left, weights);
    let total = 0;
    for (let i = 0; i < left.length; i++) total += weights[left[i]];
    for (let i = 0; i < left.length; i++) {
      const surprise = -Math.log(weights[left[i]] / total);
      nearness[left[i]] = -Math.abs(surprise - entropy);
    }
    return idsOf(
      firstByWeight(rankedKeys(nearness, { ids: left, keys: this.#keys }), weights, mass * total),
      this.#ids,
    );
  }
}

/** Those of the tokens whose weight, relative to that of the likeliest, is at least minP, in the same array. */
function likelyEnough(ids: Int32Array, weights: Float64Array, minP: number): Int32Array {
  let count = 0;
  for (let i = 0; i < ids.length; i++) if (weights[ids[i]] >= minP) ids[count++] = ids[i];
  return ids.subarray(0, count);
}

/** All tokens, in order. */
function allIds(ids: Int32Array): Int32Array {
  for (let id = 0; id < ids.length; id++) ids[id] = id;
  return ids;
}

/** The token at which the weights [V], added up in order, exceed a share of their total; one with weight. */
function drawOfAll(weights: Float64Array, share: number): number {
  let remaining = share;
  let chosen = 0;
  for (let id = 0; id < weights.length && remaining >= 0; id++) {
    if (weights[id] > 0) chosen = id; // the last one, in case rounding leaves a remainder
    remaining -= weights[id];
  }
  return chosen;
}

/** A token by weight; at least one has some. */
function draw(ids: Int32Array, weights: Float64Array, uniform: number): number {
  let remaining = 0;
  for (let i = 0; i < ids.length; i++) remaining += weights[ids[i]];
  remaining *= uniform;
  let chosen = ids[0];
  for (let i = 0; i < ids.length && remaining >= 0; i++) {
    const id = ids[i];
    if (weights[id] > 0) chosen = id; // the last one, in case rounding leaves a remainder
    remaining -= weights[id];
  }
  return chosen;
}

/** Entropy in nats of choosing one of the tokens by weight: with total weight W, ln W - sum of w ln w / W. */
function entropyOf(ids: Int32Array, weights: Float64Array): number {
  let total = 0;
  let sum = 0;
  for (let i = 0; i < ids.length; i++) {
    const weight = weights[ids[i]];
    if (weight === 0) continue;
    total += weight;
    sum += weight * Math.log(weight);
  }
  return Math.log(total) - sum / total;
}

/** Entropy in nats of the softmax of logits [V], which may be -Infinity. */
export function entropyOfLogits(logits: Float32Array): number {
  const largest = logits[likeliest(logits)];
  let total = 0;
  let sum = 0;
  for (let id = 0; id < logits.length; id++) {
    const score = logits[id] - largest;
    const weight = Math.exp(score);
    if (weight === 0) continue;
    total += weight;
    sum += weight * score;
  }
  return Math.log(total) - sum / total;
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
