/**
 * The attention of FLASH-Quad (Hua, Dai, Liu, Le 2022, section 2): relu(q kᵀ + bias)^2 v over the whole sequence, its cost
 * growing with the square of T. q is scaled by 1 / n before.
 */
import { type Tensor, withGradient } from "../graph/tensor.ts";
import { inCausalBlocks } from "./causal-blocks.ts";
import { ROTARY_BIAS_FROM, relativeBias, rotaryBiasVectors } from "./positions.ts";
import type { Scope } from "./scope.ts";

export interface SquaredReluInputs {
  /** [B, T, s] each. */
  readonly q: Tensor;
  readonly k: Tensor;
  /** [B, T, e] */
  readonly v: Tensor;
  /** [B, T]: 1 where a token is real. */
  readonly mask?: Tensor | undefined;
}

/** Returns [B, T, e]; the bias, of the given scope, is one for spans of `maxLength` positions. */
export function squaredReluAttention(
  scope: Scope,
  { q, k, v, mask }: SquaredReluInputs,
  { causal, maxLength }: { readonly causal: boolean; readonly maxLength: number },
): Tensor {
  const [B, T, s] = q.shape;
  const real = mask?.reshape([B, 1, T]);
  let own = { q, k, v };
  let bias: Tensor | undefined;
  if (maxLength < ROTARY_BIAS_FROM) bias = relativeBias(scope, maxLength, T, s);
  else {
    // The rotary bias is a product itself: its vectors as more columns of q and k save a pass over the scores.
    const [a, b] = rotaryBiasVectors(scope, T, s).map((vectors) => vectors.expand([B, T, s]));
    own = { q: q.concat([a], -1), k: k.concat([b], -1), v };
  }
  if (!causal) {
    const scores = own.q.matmul(own.k.swapLast()); // [B, T, T]
    return squaredReluMatmul(bias ? scores.add(bias) : scores, v, real);
  }
  return inCausalBlocks(own, ({ start, end, queries, keys, values, hidden }) => {
    const added = bias ? bias.slice(0, start, end).slice(1, 0, end).add(hidden) : hidden;
    return squaredReluMatmul(queries.matmul(keys).add(added), values, real?.slice(2, 0, end));
  });
}

/**
 * (A * real) v, A = relu(scores)^2: scores [B, R, N], v [B, N, e], real [B, 1, N] -> [B, R, e]. With g the gradient of the
 * result, dv = Aᵀ g, and dscores = relu(scores) * (2 g) vᵀ: the factor stands on the narrow side.
 */
export function squaredReluMatmul(scores: Tensor, v: Tensor, real?: Tensor): Tensor {
  const positive = real ? scores.relu().mul(real) : scores.relu();
  const a = positive.mul(positive);
  return withGradient(a.matmul(v), [scores, v], (g) => [
    g.mul(2).matmul(v.swapLast()).mul(positive),
    transposedProduct(a, g),
  ]);
}

/** aᵀ g of a [B, R, N] and g [B, R, e], transposing whichever costs less. */
function transposedProduct(a: Tensor, g: Tensor): Tensor {
  const [, R, N] = a.shape;
  const e = g.shape[2];
  return R * N < (R + N) * e ? a.swapLast().matmul(g) : g.swapLast().matmul(a).swapLast();
}
