/**
 * Attention whose cost grows with the square of T, in blocks of queries. When causal, each block meets the keys up to its
 * own end only; with recomputation, what one block needs of the square exists at a time, also in the backward pass.
 */
import { recomputedInTurn } from "../graph/recompute.ts";
import type { Tensor } from "../graph/tensor.ts";
import { type Documents, hiddenAcross } from "./documents.ts";
import { futureHidden, tokenPositions } from "./multi-head.ts";

/** Blocks of queries, and the fewest queries a block: eight save 44 % of the square, the most that is possible is 50 %. */
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

export interface QueryBlock {
  /** [..., R, w] */
  readonly queries: Tensor;
  /** [..., w, N]: of the first N tokens. */
  readonly keys: Tensor;
  /** [..., N, n] */
  readonly values: Tensor;
  /** To be added to scores [..., R, N]: -1e30 where a key lies in the future or in another document, where that counts. */
  readonly hidden: Tensor | undefined;
}

export interface QueryBlockOptions {
  readonly causal: boolean;
  readonly recompute: boolean;
  /** Those that must not see each other. */
  readonly documents?: Documents | undefined;
}

/**
 * What `attend` makes of all queries of each head, [..., T, n]; it gives [..., R, n] for the R queries of a block. Heads that
 * are given apart are computed one after the other: the runtime keeps memory of every shape it has met, and blocks of one
 * head share theirs with the next.
 */
export function inQueryBlocks(
  heads: readonly QueriesKeysValues[],
  { causal, recompute, documents }: QueryBlockOptions,
  attend: (block: QueryBlock) => Tensor,
): readonly Tensor[] {
  const [{ q }] = heads;
  const axis = q.rank - 2;
  const T = q.shape[axis];
  const R = Math.max(Math.min(T, FEWEST_QUERIES), Math.ceil(T / BLOCKS)); // queries a block
  const sizes = Array.from({ length: Math.ceil(T / R) }, (_, i) => Math.min(R, T - i * R));
  // Given to the blocks, so that what is hidden is made when it is needed and not kept.
  const places = documents ? [tokenPositions(T), documents.numbers] : [tokenPositions(T)];
  const parts = heads.flatMap(({ q, k, v }) => {
    const [qs, vs] = [q, v].map((t) => t.split(axis, sizes));
    const ks = k.swapLast().split(axis + 1, sizes); // [..., w, R] each
    return sizes.map((size, i) => {
      const met = causal ? i + 1 : sizes.length; // blocks of keys
      return {
        inputs: [...places, qs[i], ...ks.slice(0, met), ...vs.slice(0, met)],
        build(given: readonly Tensor[]) {
          const [queries, ...both] = given.slice(places.length);
          const keys = both[0].concat(both.slice(1, met), axis + 1);
          const values = both[met].concat(both.slice(met + 1), axis);
          const [at, numbers] = given; // numbers only where there are documents
          const [start, end] = [i * R, i * R + size];
          const future = causal ? futureHidden(at.slice(0, start, end)).pad(1, start, 0) : undefined;
          if (!documents) return attend({ queries, keys, values, hidden: future });
          const [B, N] = [numbers.shape[0], causal ? end : T];
          const hidden = hiddenAcross(numbers.slice(1, start, end), numbers.slice(1, 0, N), future); // [B, R, N]
          const axes = new Array<number>(q.rank - 3).fill(1);
          return attend({ queries, keys, values, hidden: hidden.reshape([B, ...axes, size, N]) });
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
