/**
 * What the distant half of mixed chunk attention keeps of other chunks. The paper's form (Hua, Dai, Liu, Le 2022,
 * section 3.2) is a sum, which grows with the text; the others are weighted means, whose size does not depend on its
 * length: all chunks alike, or less the more chunks lie between, by a decay of each dimension of queries and keys that
 * is fixed (as in RetNet, Sun et al. 2023), learned, or decided by each chunk's tokens (as in gated linear attention,
 * Yang et al. 2024). The two dimensions that RoPE rotates together share a decay.
 * Symbols: B sequences, H heads, G chunks of C tokens, s width of queries and keys, n of values.
 */
import { constant, type Tensor } from "../graph/tensor.ts";
import type { StateEntry, Tensors } from "./layer.ts";
import type { Scope } from "./scope.ts";

export const memoryNames = ["sum", "mean", "decay", "learned", "gated"] as const;

export interface MemoryConfig {
  readonly memory: (typeof memoryNames)[number];
  /** In chunks: of the fastest and of the slowest decay, at the start where decays are learned. */
  readonly halfLives: readonly [shortest: number, longest: number];
}

/** The paper's. */
export const SUM: MemoryConfig = { memory: "sum", halfLives: [1, 1] };

/** In chunks, of the fastest decay that there can be. */
export const SHORTEST_HALF_LIFE = 0.25;
const FASTEST = Math.LN2 / SHORTEST_HALF_LIFE;

/** A mean over the chunks before some place in a text. */
export interface DistantMean {
  /** The mean of their kᵀ v, [B, …, s, n]. */
  readonly mean: Tensor;
  /** How much they count, decayed, in whole chunks: [B, …, s, 1]. */
  readonly weight: Tensor;
}

/**
 * Log of the factor by which chunks count less for each chunk that lies between, at most 0: [s], with heads [H, s], or
 * of each chunk [B, G, s] where its tokens' `rates` [B …, G, C, s / 2] decide, `real` [B or 1, G, C] being 1 for those
 * that count (default: all). `heads` is the axis of heads, or none.
 */
export function chunkDecays(
  scope: Scope,
  { memory, halfLives }: MemoryConfig,
  { s, heads = [], rates, real }: DecayInputs,
): Tensor {
  if (memory === "mean" || memory === "sum") return constant(new Float32Array(s), [s]);
  const start = startingRates(s / 2, halfLives);
  if (memory === "decay") {
    return constant(
      Float32Array.from({ length: s }, (_, i) => -start[i % (s / 2)]),
      [s],
    );
  }
  if (rates === undefined) return twice(boundedRates(scope, start, heads));
  const counted = real?.reshape([...real.shape, 1]);
  const mean = counted
    ? rates
        .mul(counted)
        .sum([-2])
        .div(counted.sum([-2]).max(1))
    : rates.mean([-2]);
  return twice(mean.reshape([...mean.shape.slice(0, -2), s / 2]));
}

interface DecayInputs {
  readonly s: number;
  readonly heads?: readonly number[];
  readonly rates?: Tensor | undefined;
  readonly real?: Tensor | undefined;
}

/** The rates of decay that tokens ask for, [..., s / 2], from the unit's shared representation z [..., s]. */
export function tokenRates(scope: Scope, { halfLives }: MemoryConfig, z: Tensor): Tensor {
  const s = z.shape[z.rank - 1];
  const weight = scope.parameter("weight", [s, s / 2], { constant: 0 });
  return boundedRates(scope, startingRates(s / 2, halfLives), [], z.matmul(weight));
}

/** From the shortest half-life, at the highest frequency of RoPE, to the longest. */
function startingRates(pairs: number, [shortest, longest]: MemoryConfig["halfLives"]): Float64Array {
  const place = (i: number) => (pairs === 1 ? 1 : i / (pairs - 1));
  return Float64Array.from({ length: pairs }, (_, i) => Math.LN2 / (shortest * (longest / shortest) ** place(i)));
}

/** FASTEST times a sigmoid, so that no decay is below 1/16 a chunk nor above 1. */
function boundedRates(scope: Scope, start: Float64Array, heads: readonly number[], decided?: Tensor): Tensor {
  const pairs = start.length;
  const logits = Float32Array.from(start, (rate) => Math.log(rate / (FASTEST - rate)));
  const learned = scope.parameter("offset", [...heads, pairs], { constant: 0 }).add(constant(logits, [pairs]));
  return (decided ? learned.add(decided) : learned).sigmoid().mul(FASTEST);
}

/** Rates [..., s / 2] as log decays [..., s]: the pairs of RoPE are (i, i + s / 2). */
function twice(rates: Tensor): Tensor {
  return rates.concat([rates], -1).neg();
}

/** The entries of a layer's state; `heads` is the axis of heads, or none. */
export function memoryState(
  { memory }: MemoryConfig,
  {
    heads = [],
    C,
    s,
    n,
  }: { readonly heads?: readonly number[]; readonly C: number; readonly s: number; readonly n: number },
): Readonly<Record<string, StateEntry>> {
  const replaced = (rows: number, width: number): StateEntry => ({
    shape: [...heads, rows, width],
    change: "replaced",
    initial: 0,
  });
  const rows = (width: number): StateEntry => ({ shape: [...heads, C, width], change: "open-rows", initial: 0 });
  const linearKeys = rows(s);
  // closedSum: the sum of (linear keys)ᵀ values over closed chunks.
  if (memory === "sum") return { linearKeys, closedSum: replaced(s, n), compensation: replaced(s, n) };
  return {
    linearKeys,
    ...(memory === "gated" && { rates: rows(s / 2) }),
    mean: replaced(s, n),
    weight: replaced(s, 1),
  };
}

/** Recurrence.close of a mean: takes in kᵀ v of the chunk that is full. */
export function closeIntoMean(decays: Tensor, { linearKeys, values, mean, weight }: Tensors): Tensors {
  const earlier = weight.mul(decays.exp().reshape([...decays.shape, 1]));
  const all = earlier.add(1);
  const sum = mean.mul(earlier).add(linearKeys.swapLast().matmul(values));
  return { mean: sum.div(all), weight: all };
}
