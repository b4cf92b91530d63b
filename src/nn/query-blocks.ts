/**
 * Attention whose cost grows with the square of T, in blocks of queries. When causal, each block is multiplied only
 * with the keys up to its own end; with recomputation, the scores of one block exist at a time, also backward.
 */
import { recomputedInOrder } from "../graph/recompute.ts";
import { concat, type Tensor } from "../graph/tensor.ts";
import type { QueriesKeys } from "./positions.ts";
import { broadcastOverHeads, type Visibility } from "./visibility.ts";

/** The most blocks, and the fewest queries of one. When causal, 8 blocks save 44 % of the square, more at most 50 %. */
const BLOCKS = 8;
const FEWEST_QUERIES = 128;

export interface QueriesKeysValues extends QueriesKeys {
  /** [..., T, n] */
  readonly v: Tensor;
}

interface QueryBlock {
  /** [..., R, w] */
  readonly queries: Tensor;
  /** [..., N, w]: of the first N tokens. */
  readonly keys: Tensor;
  /** [..., N, n] */
  readonly values: Tensor;
  /** Added to scores [..., R, N] to hide what must not be seen; undefined when nothing is hidden. */
  readonly hidden: Tensor | undefined;
}

interface QueryBlockOptions {
  readonly visibility: Visibility;
  readonly recompute: boolean;
  /** All queries in one block, for one who looks at their weights. */
  readonly whole?: boolean | undefined;
}

/**
 * Concatenates the results of `attend`, [..., R, n] for the R queries of each block, to [..., T, n] for each of
 * `heads`, which may hold all heads as one. Separate heads are computed one after another and reuse each other's
 * memory: the runtime keeps some for every shape that it has met.
 */
export function inQueryBlocks(
  heads: readonly QueriesKeysValues[],
  { visibility, recompute, whole = false }: QueryBlockOptions,
  attend: (block: QueryBlock) => Tensor,
): readonly Tensor[] {
  const [{ q }] = heads;
  const axis = q.rank - 2;
  const T = q.shape[axis];
  const { causal } = visibility;
  const { sources, hidden } = visibility.square(T);
  const inBlocks = !whole && (causal || recompute);
  const R = inBlocks ? Math.max(Math.min(T, FEWEST_QUERIES), Math.ceil(T / BLOCKS)) : T; // queries a block
  const sizes = Array.from({ length: Math.ceil(T / R) }, (_, i) => Math.min(R, T - i * R));
  const blocks = heads.flatMap(({ q, k, v }) => {
    const [qs, ks, vs] = [q, k, v].map((t) => t.split(axis, sizes));
    return sizes.map((size, i) => {
      const seen = causal ? i + 1 : sizes.length; // blocks of keys
      return {
        inputs: [...sources, qs[i], ...ks.slice(0, seen), ...vs.slice(0, seen)],
        build(inputs: readonly Tensor[]) {
          const [queries, ...keysAndValues] = inputs.slice(sources.length);
          const keys = concat(keysAndValues.slice(0, seen), axis);
          const values = concat(keysAndValues.slice(seen), axis);
          const ofBlock = hidden(inputs.slice(0, sources.length), i * R, i * R + size);
          return attend({ queries, keys, values, hidden: ofBlock && broadcastOverHeads(ofBlock, q.rank) });
        },
      };
    });
  });
  const rows = recompute ? recomputedInOrder(blocks) : blocks.map(({ inputs, build }) => build(inputs));
  return heads.map((_, h) => concat(rows.slice(h * sizes.length, (h + 1) * sizes.length), axis));
}
