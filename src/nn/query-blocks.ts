/**
 * Attention whose cost grows with the square of T, in blocks of queries. When causal, each block meets the keys up to its
 * own end only; with recomputation, what one block needs of the square exists at a time, also in the backward pass.
 */
import { recomputedInTurn } from "../graph/recompute.ts";
import type { Tensor } from "../graph/tensor.ts";
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
  /** To be added to scores [..., R, N]: -1e30 where a key lies in the future. Undefined when not causal. */
  readonly future: Tensor | undefined;
}

export interface QueryBlockOptions {
  readonly causal: boolean;
  readonly recompute: boolean;
}

/**
 * What `attend` makes of all queries of each head, [..., T, n]; it gives [..., R, n] for the R queries of a block. Heads that
 * are given apart are computed one after the other: the runtime keeps memory of every shape it has met, and blocks of one
 * head share theirs with the next.
 */
export function inQueryBlocks(
  heads: readonly QueriesKeysValues[],
  { causal, recompute }: QueryBlockOptions,
  attend: (block: QueryBlock) => Tensor,
): readonly Tensor[] {
  const [{ q }] = heads;
  const axis = q.rank - 2;
  const T = q.shape[axis];
  const R = Math.max(Math.min(T, FEWEST_QUERIES), Math.ceil(T / BLOCKS)); // queries a block
  const sizes = Array.from({ length: Math.ceil(T / R) }, (_, i) => Math.min(R, T - i * R));
  const positions = tokenPositions(T);
  const parts = heads.flatMap(({ q, k, v }) => {
    const [qs, vs] = [q, v].map((t) => t.split(axis, sizes));
    const ks = k.swapLast().split(axis + 1, sizes); // [..., w, R] each
    return sizes.map((size, i) => {
      const met = causal ? i + 1 : sizes.length; // blocks of keys
      return {
        // The positions among them, so that what is hidden is made when it is needed and not kept.
        inputs: [positions, qs[i], ...ks.slice(0, met), ...vs.slice(0, met)],
        build([at, queries, ...both]: readonly Tensor[]) {
          const keys = both[0].concat(both.slice(1, met), axis + 1);
          const values = both[met].concat(both.slice(met + 1), axis);
          const [start, end] = [i * R, i * R + size];
          const future = causal ? futureHidden(at.slice(0, start, end)).pad(1, start, 0) : undefined;
          return attend({ queries, keys, values, future });
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
