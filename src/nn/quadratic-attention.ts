/**
 * The attention of FLASH-Quad (Hua, Dai, Liu, Le 2022, section 2): f(q kᵀ + bias) v over the whole sequence, where f
 * is squared ReLU or one of its ablations. Its cost grows with the square of T.
 */
import type { Tensor } from "../graph/tensor.ts";
import { type AttentionFunction, attend } from "./attention-functions.ts";
import type { QueriesKeys } from "./mixed-chunk-attention.ts";
import { ROTARY_BIAS_FROM, relativeBias, rotatedBiasVectors } from "./positions.ts";
import { inQueryBlocks, type QueriesKeysValues } from "./query-blocks.ts";
import type { Scope } from "./scope.ts";
import { addOptional, type Visibility } from "./visibility.ts";

interface QuadraticConfig {
  /** n: the span of the bias. */
  readonly maxLength: number;
  readonly attentionFunction?: AttentionFunction | undefined;
}

interface QuadraticInputs {
  readonly visibility: Visibility;
  /** Whether scores are recomputed in the backward pass, a block of queries at a time; with a rotary bias only. */
  readonly recompute?: boolean | undefined;
}

/** q (scaled) and k [B, T, s], v [B, T, e] -> [B, T, e]; `scope` is that of the bias. */
export function quadraticAttention(
  scope: Scope,
  { q, k, v }: QueriesKeysValues,
  { maxLength, attentionFunction = "relu2" }: QuadraticConfig,
  { visibility, recompute = false }: QuadraticInputs,
): Tensor {
  const [, T, s] = q.shape;
  const rotary = maxLength >= ROTARY_BIAS_FROM;
  const biased = rotary ? withRotaryBias({ q, k }, rotatedBiasVectors(scope, T, s)) : { q, k };
  const square = rotary ? undefined : relativeBias(scope, maxLength, T, s);
  const options = { visibility, recompute: recompute && rotary };
  return inQueryBlocks([{ ...biased, v }], options, ({ queries, keys, values, hidden }) => {
    const scores = queries.matmul(keys); // [B, R, N]
    const [, R, N] = scores.shape;
    const bias = square?.slice(0, N - R, N).slice(1, 0, N); // the R queries are the last of the N tokens
    return attend(attentionFunction, addOptional(scores, addOptional(bias, hidden)), values);
  })[0];
}

/**
 * q and k [B, T, 2 s], concatenated with the factors a and b [T, s] or [B, T, s] of a rotary bias: their product is
 * q kᵀ + a bᵀ, without a pass for the bias.
 */
export function withRotaryBias({ q, k }: QueriesKeys, [a, b]: readonly Tensor[]): QueriesKeys {
  return { q: q.concat([a.expand(q.shape)], -1), k: k.concat([b.expand(k.shape)], -1) };
}
