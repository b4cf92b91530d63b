/**
 * Attention whose cost grows with the square of T, in blocks of queries. When causal, each block meets the keys up to
 * its own end only; with recomputation, what one block needs of the square exists at a time, also in the backward pass.
 */
import { recomputedInTurn } from "../graph/recompute.ts";
import type { Tensor } from "../graph/tensor.ts";
import { besideHeads, type Visibility } from "./visibility.ts";

/**
 * Most blocks, and fewest queries in each. When causal, eight blocks save 44 % of the square; no number saves half of
 * it.
 */
const BLOCKS = 8;
const FEWEST_QUERIES = 128;

export interface QueriesKeysValues {
  /** [..., T, w] */
  readonly q: Tensor;
  /** [..., T, w] */
  readonly k: Tensor;
  /** [..., T, n] */
  readonly v: Tensor;
}

interface QueryBlock {
  /** [..., R, w] */
  readonly queries: Tensor;
  /** [..., w, N]: of the first N tokens. */
  readonly keys: Tensor;
  /** [..., N, n] */
  readonly values: Tensor;
  /** To be added to scores [..., R, N]: hides what is not to be seen. */
  readonly hidden: Tensor | undefined;
}

interface QueryBlockOptions {
  readonly visibility: Visibility;
  readonly recompute: boolean;
}

/**
 * The results of `attend`, [..., R, n] for the R queries of a block, concatenated to [..., T, n] for each head. Heads
 * that are given apart are computed one after the other: the runtime keeps memory of every shape it has met, and the
 * blocks of one head use that of the head before.
 */
export function inQueryBlocks(
  heads: readonly QueriesKeysValues[],
  { visibility, recompute }: QueryBlockOptions,
  attend: (block: QueryBlock) => Tensor,
): readonly Tensor[] {
  const [{ q }] = heads;
  const axis = q.rank - 2;
  const T = q.shape[axis];
  const { causal } = visibility;
  const { sources, hidden } = visibility.square(T);
  const inBlocks = causal || recompute;
  const R = inBlocks ? Math.max(Math.min(T, FEWEST_QUERIES), Math.ceil(T / BLOCKS)) : T; // queries a block
  const sizes = Array.from({ length: Math.ceil(T / R) }, (_, i) => Math.min(R, T - i * R));
  const parts = heads.flatMap(({ q, k, v }) => {
    const [qs, vs] = [q, v].map((t) => t.split(axis, sizes));
    const ks = k.swapLast().split(axis + 1, sizes); // [..., w, R] each
    return sizes.map((size, i) => {
      const met = causal ? i + 1 : sizes.length; // blocks of keys
      return {
        inputs: [...sources, qs[i], ...ks.slice(0, met), ...vs.slice(0, met)],
        build(given: readonly Tensor[]) {
          const [queries, ...both] = given.slice(sources.length);
          const keys = both[0].concat(both.slice(1, met), axis + 1);
          const values = both[met].concat(both.slice(met + 1), axis);
          const ofBlock = hidden(given.slice(0, sources.length), i * R, i * R + size);
          return attend({ queries, keys, values, hidden: ofBlock && besideHeads(ofBlock, q.rank) });
        },
      };
    });
  });
  const rows = recompute ? recomputedInTurn(parts) : parts.map(({ inputs, build }) => build(inputs));
  return heads.map((_, h) => {
    const [first, ...rest] = rows.slice(h * sizes.length, (h + 1) * sizes.length);
    return first.concat(rest, axis);
  });
}
