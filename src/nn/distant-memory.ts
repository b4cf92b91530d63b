/**
 * What the distant half of mixed chunk attention keeps of other chunks. The paper's form (Hua, Dai, Liu, Le 2022,
 * section 3.2) is a sum, which grows with the text; the others are weighted means, whose size does not depend on its
 * length: all tokens alike, or less the further back they are, by a decay of each dimension of queries and keys that is
 * fixed (as in RetNet, Sun et al. 2023), learned, or decided by the tokens (as in gated linear attention, Yang et al.
 * 2024). The two dimensions that RoPE rotates together share a decay.
 * Symbols: B sequences, H heads, G chunks of C tokens, s width of queries and keys, n of values.
 */
import { constant, type Tensor } from "../graph/tensor.ts";
import type { Side } from "./documents.ts";
import type { StateEntry, Tensors } from "./layer.ts";
import type { Scope } from "./scope.ts";

export const memoryNames = ["sum", "mean", "decay", "learned", "gated"] as const;

export interface MemoryConfig {
  readonly memory: (typeof memoryNames)[number];
  /** In tokens: of the fastest and of the slowest decay, at the start where decays are learned. */
  readonly halfLives: readonly [shortest: number, longest: number];
}

/** The paper's. */
export const SUM: MemoryConfig = { memory: "sum", halfLives: [1, 1] };

/**
 * The most that a chunk as a whole can be forgotten by, log 16, while the next is read: the sums over many chunks
 * (decayed-sums.ts) could not be computed in float32 with less. Within a chunk, decays can be of any size.
 */
const MOST_FORGOTTEN = Math.log(16);

/** A mean over the chunks before some place in a text. */
export interface DistantMean {
  /** The mean of their kᵀ v, [B, …, s, n]. */
  readonly mean: Tensor;
  /** How much they count, decayed, in whole chunks: [B, …, s, 1]. */
  readonly weight: Tensor;
}

/** Logs of decays, at most 0. Leading axes: none, [H] with heads, or [B, G] where the tokens decide. */
export interface Decays {
  /** Of crossing a whole chunk: [..., s]. */
  readonly across: Tensor;
  /** Of each token of a chunk at the chunk's end ("before" what follows), or at its beginning ("after"): [..., C, s]. */
  within(side: Side): Tensor;
}

interface DecaySizes {
  /** C */
  readonly chunk: number;
  readonly shared: number;
  /** The axis of heads, or none. */
  readonly heads?: readonly number[];
}

/** Decays that do not depend on the text: of every memory but sum and gated. */
export function fixedDecays(
  scope: Scope,
  { memory, halfLives }: MemoryConfig,
  { chunk: C, shared: s, heads = [] }: DecaySizes,
): Decays {
  const start = constant(Float32Array.from(startingRates(s / 2, halfLives, C)), [s / 2]);
  const learned = () =>
    scope
      .parameter("offset", [...heads, s / 2], { constant: 0 })
      .exp()
      .mul(start);
  const rates = memory === "mean" ? start.mul(0) : memory === "decay" ? start : learned();
  const logs = ofPairs(rates).neg(); // [..., s], of C tokens
  const distances = (side: Side) =>
    constant(
      Float32Array.from({ length: C }, (_, i) => (side === "before" ? C - 1 - i : i) / C),
      [C, 1],
    );
  return {
    across: logs.max(-MOST_FORGOTTEN),
    within: (side) => logs.reshape([...logs.shape.slice(0, -1), 1, s]).mul(distances(side)),
  };
}

/** How fast tokens make everything before them fade, [..., s / 2] for C tokens, from the unit's z [..., s]. */
export function tokenRates(scope: Scope, { halfLives }: MemoryConfig, z: Tensor, C: number): Tensor {
  const s = z.shape[z.rank - 1];
  const start = constant(Float32Array.from(startingRates(s / 2, halfLives, C)), [s / 2]);
  const weight = scope.parameter("weight", [s, s / 2], { constant: 0 });
  const offset = scope.parameter("offset", [s / 2], { constant: 0 });
  return z.matmul(weight).add(offset).min(MOST_DECIDED).exp().mul(start);
}

/** The log of the most by which tokens can hasten a decay: it must stay finite. */
const MOST_DECIDED = 10;

/** Decays by `rates` [..., C, s / 2] of the tokens of chunks; `real` [..., C] is 1 for those that count, default: all. */
export function gatedDecays(rates: Tensor, real?: Tensor): Decays {
  const C = rates.shape[rates.rank - 2];
  const logs = ofPairs(real ? rates.mul(real.reshape([...real.shape, 1])) : rates).mul(-1 / C);
  const all = logs.sum([-2]);
  return {
    across: all.reshape([...all.shape.slice(0, -2), all.shape[all.rank - 1]]).max(-MOST_FORGOTTEN),
    within: (side) => (C === 1 ? logs.mul(0) : logs.cumsum(-2, { exclusive: true, reverse: side === "before" })),
  };
}

/** Per C tokens: from the shortest half-life, at the highest frequency of RoPE, to the longest. */
function startingRates(pairs: number, [shortest, longest]: MemoryConfig["halfLives"], C: number): Float64Array {
  const place = (i: number) => (pairs === 1 ? 1 : i / (pairs - 1));
  return Float64Array.from({ length: pairs }, (_, i) => (C * Math.LN2) / (shortest * (longest / shortest) ** place(i)));
}

/** [..., s / 2] as [..., s]: the pairs of RoPE are (i, i + s / 2). */
function ofPairs(t: Tensor): Tensor {
  return t.concat([t], -1);
}

interface StateSizes {
  readonly heads?: readonly number[];
  readonly C: number;
  readonly s: number;
  readonly n: number;
}

/** The entries of a layer's state; `heads` is the axis of heads, or none. */
export function memoryState(
  { memory }: MemoryConfig,
  { heads = [], C, s, n }: StateSizes,
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
export function closeIntoMean(decays: Decays, { linearKeys, values, mean, weight }: Tensors): Tensors {
  const { across } = decays;
  const weights = decays.within("before").exp(); // [..., C, s]
  const C = weights.shape[weights.rank - 2];
  const own = weights.sum([-2]).div(C); // [..., 1, s]
  const earlier = weight.mul(across.exp().reshape([...across.shape, 1]));
  const all = earlier.add(own.reshape([...across.shape, 1]));
  const sum = mean.mul(earlier).add(linearKeys.mul(weights).swapLast().matmul(values));
  return { mean: sum.div(all), weight: all };
}
