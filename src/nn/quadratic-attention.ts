/**
 * The attention of FLASH-Quad (Hua, Dai, Liu, Le 2022, section 2): f(q kᵀ + bias) v over the whole sequence, f squared
 * ReLU or what it is ablated by. Its cost grows with the square of T.
 */
import type { Tensor } from "../graph/tensor.ts";
import { type AttentionFunction, attend } from "./attention-functions.ts";
import type { QueriesKeys } from "./mixed-chunk-attention.ts";
import { angleTable, biasVectors, ROTARY_BIAS_FROM, relativeBias, rope } from "./positions.ts";
import { inQueryBlocks, type QueriesKeysValues } from "./query-blocks.ts";
import type { Scope } from "./scope.ts";
import type { Visibility } from "./visibility.ts";

interface QuadraticConfig {
  /** n: the bias is one for spans of so many positions. */
  readonly maxLength: number;
  readonly attentionFunction?: AttentionFunction | undefined;
}

interface QuadraticInputs {
  readonly visibility: Visibility;
  /** Whether one block of queries exists at a time, also in the backward pass; with a rotary bias only. */
  readonly recompute?: boolean | undefined;
}

/** q (scaled) and k [B, T, s], v [B, T, e] -> [B, T, e]; the bias has the given scope. */
export function quadraticAttention(
  scope: Scope,
  { q, k, v }: QueriesKeysValues,
  { maxLength, attentionFunction = "relu2" }: QuadraticConfig,
  { visibility, recompute = false }: QuadraticInputs,
): Tensor {
  const [, T, s] = q.shape;
  const rotary = maxLength >= ROTARY_BIAS_FROM;
  const rotated = () => {
    const table = angleTable(T, s);
    return biasVectors(scope, s).map((vector) => rope(vector.reshape([1, s]).expand([T, s]), table)); // [T, s]
  };
  const own = rotary ? withRotaryBias({ q, k }, rotated()) : { q, k };
  const added = rotary ? undefined : relativeBias(scope, maxLength, T, s);
  const options = { visibility, recompute: recompute && rotary };
  return inQueryBlocks([{ ...own, v }], options, ({ queries, keys, values, hidden }) => {
    const scores = queries.matmul(keys); // [B, R, N]
    const [, R, N] = scores.shape;
    const bias = added?.slice(0, N - R, N).slice(1, 0, N); // blocks of fewer queries than keys end at their last key
    const addend = bias && hidden ? bias.add(hidden) : (bias ?? hidden);
    return attend(attentionFunction, addend ? scores.add(addend) : scores, values);
  })[0];
}

/**
 * q and k [B, T, 2 s] with the factors of a rotary bias beside them, a and b [T, s] or [B, T, s] of all positions:
 * q kᵀ + a bᵀ is one product, without a pass of its own.
 */
export function withRotaryBias({ q, k }: QueriesKeys, [a, b]: readonly Tensor[]): QueriesKeys {
  return { q: q.concat([a.expand(q.shape)], -1), k: k.concat([b.expand(k.shape)], -1) };
}
