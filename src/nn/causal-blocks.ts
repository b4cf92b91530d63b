/**
 * Causal attention over a whole span in blocks of queries that each meet the keys up to their own end. Of the square of
 * scores about half is never computed, whatever is done to the scores.
 */
import type { Tensor } from "../graph/tensor.ts";
import { futureHidden } from "./multi-head.ts";

/** Blocks of queries, and the fewest queries a block: eight save 44 % of the square, the most that is possible is 50 %. */
const BLOCKS = 8;
const FEWEST_QUERIES = 128;

export interface CausalBlock {
  /** Queries start … end - 1, keys and values 0 … end - 1. */
  readonly start: number;
  readonly end: number;
  /** [..., end - start, s] */
  readonly queries: Tensor;
  /** [..., s, end] */
  readonly keys: Tensor;
  /** [..., end, e] */
  readonly values: Tensor;
  /** [end - start, end]: to be added to the scores, hides the future. */
  readonly hidden: Tensor;
}

/** q, k [..., T, s], v [..., T, e]; `attend` returns its queries' rows [..., end - start, e]; all of them: [..., T, e]. */
export function inCausalBlocks(
  { q, k, v }: { readonly q: Tensor; readonly k: Tensor; readonly v: Tensor },
  attend: (block: CausalBlock) => Tensor,
): Tensor {
  const T = q.shape[q.rank - 2];
  const R = Math.max(Math.min(T, FEWEST_QUERIES), Math.ceil(T / BLOCKS)); // queries a block
  const sizes = Array.from({ length: Math.ceil(T / R) }, (_, i) => Math.min(R, T - i * R));
  const [qs, vs] = [q, v].map((t) => t.split(-2, sizes));
  const ks = k.swapLast().split(-1, sizes); // [..., s, R] each
  const future = futureHidden(R, q); // [R, R]
  const rows = sizes.map((size, i) => {
    const start = i * R;
    return attend({
      start,
      end: start + size,
      queries: qs[i],
      keys: ks[0].concat(ks.slice(1, i + 1), -1),
      values: vs[0].concat(vs.slice(1, i + 1), -2),
      hidden: future.slice(0, 0, size).slice(1, 0, size).pad(1, start, 0),
    });
  });
  return rows[0].concat(rows.slice(1), -2);
}
