/**
 * The attention of the gated units for a few new tokens: f(q kᵀ + bias) v over the rows of the open span (the current chunk
 * of FLASH, the whole text of FLASH-Quad) and the new tokens themselves. Symbols: P new tokens, n rows.
 */
import { constant, type Tensor } from "../graph/tensor.ts";
import { type AttentionFunction, weightsOf } from "./attention-functions.ts";
import { timesTransposed } from "./linear.ts";
import type { NewTokens } from "./new-tokens.ts";
import { biasByDistance } from "./positions.ts";
import type { QueriesKeysValues } from "./query-blocks.ts";
import type { Scope } from "./scope.ts";
import { HIDDEN } from "./visibility.ts";

/** Rows of the open span: keys [B, n, s], values [B, n, e]. */
export interface OpenSpan {
  readonly keys: Tensor;
  readonly values: Tensor;
}

/** q (scaled) and k [B, P, s], v [B, P, e] -> [B, P, e]; the bias has the given scope. */
export function openSpanAttention(
  scope: Scope,
  { q, k, v }: QueriesKeysValues,
  { keys, values }: OpenSpan,
  tokens: NewTokens,
  kind: AttentionFunction,
): Tensor {
  const [, n, s] = keys.shape;
  const table = biasByDistance(scope, n, s).concat([constant(Float32Array.of(HIDDEN), [1])], 0);
  const bias = table.gather(tokens.distances(n, table.size - 1)); // [B, P, n + P]
  const weights = weightsOf(kind, timesTransposed(q, keys, k).add(bias));
  const [past, own] = weights.split(2, [n, q.shape[1]]);
  return past.matmul(values).add(own.matmul(v));
}
