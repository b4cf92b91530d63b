/**
 * Multi-head softmax attention (Vaswani et al. 2017, section 3.2): the attention of Transformer, Transformer+ (with RoPE)
 * and Transformer++. Its cost grows with the square of T.
 */
import type { Tensor } from "../graph/tensor.ts";
import {
  type AttentionInputs,
  attentionOut,
  futureHidden,
  headProjections,
  hiddenWhereMasked,
  type MultiHeadConfig,
  softmaxMatmul,
} from "./multi-head.ts";
import type { Scope } from "./scope.ts";

/** x [B, T, d] -> [B, T, d] */
export function softmaxAttention(
  scope: Scope,
  x: Tensor,
  { heads, causal }: MultiHeadConfig,
  { rotations, mask }: AttentionInputs = {},
): Tensor {
  const [B, T, d] = x.shape;
  const { q, k, v } = headProjections(scope, x, heads, { rotations, scale: 1 / Math.sqrt(d / heads) });
  const padding = mask && hiddenWhereMasked(mask).reshape([B, 1, 1, T]);
  return attentionOut(scope, causal ? causalAttention(q, k, v, padding) : fullAttention(q, k, v, padding));
}

/** q, k, v [B, H, T, w] -> [B, H, T, w] */
function fullAttention(q: Tensor, k: Tensor, v: Tensor, padding: Tensor | undefined): Tensor {
  const scores = q.matmul(k.swapLast()); // [B, H, T, T]
  return softmaxMatmul(padding ? scores.add(padding) : scores, v);
}

/** Blocks of queries, and the fewest queries a block: eight save 44 % of the square, the most that is possible is 50 %. */
const BLOCKS = 8;
const FEWEST_QUERIES = 128;

/** As fullAttention, in blocks of queries that each meet the keys up to their own end, the future hidden within a block. */
function causalAttention(q: Tensor, k: Tensor, v: Tensor, padding: Tensor | undefined): Tensor {
  const T = q.shape[2];
  const R = Math.max(Math.min(T, FEWEST_QUERIES), Math.ceil(T / BLOCKS)); // queries a block
  const sizes = Array.from({ length: Math.ceil(T / R) }, (_, i) => Math.min(R, T - i * R));
  const [qs, vs] = [q, v].map((t) => t.split(2, sizes));
  const ks = k.swapLast().split(3, sizes); // [B, H, w, R] each
  const hidden = futureHidden(R, q); // [R, R]
  const rows = sizes.map((size, i) => {
    const end = i * R + size;
    const keys = ks[0].concat(ks.slice(1, i + 1), 3); // [B, H, w, end]
    const values = vs[0].concat(vs.slice(1, i + 1), 2); // [B, H, end, w]
    const bias = hidden
      .slice(0, 0, size)
      .slice(1, 0, size)
      .pad(1, i * R, 0); // [size, end]
    const scores = qs[i].matmul(keys).add(padding ? padding.slice(3, 0, end).add(bias) : bias); // [B, H, size, end]
    return softmaxMatmul(scores, values);
  });
  return rows[0].concat(rows.slice(1), 2);
}
