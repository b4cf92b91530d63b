/**
 * Multi-head softmax attention (Vaswani et al. 2017, section 3.2): the attention of Transformer, Transformer+ (with RoPE)
 * and Transformer++. Its cost grows with the square of T.
 */
import type { Tensor } from "../graph/tensor.ts";
import { hiddenAcross } from "./documents.ts";
import {
  type AttentionInputs,
  attentionOut,
  headProjections,
  hiddenWhereMasked,
  type MultiHeadConfig,
  softmaxMatmul,
} from "./multi-head.ts";
import { inQueryBlocks } from "./query-blocks.ts";
import type { Scope } from "./scope.ts";

/** x [B, T, d] -> [B, T, d]; with `recompute` the weights of one block of queries exist at a time in the backward pass. */
export function softmaxAttention(
  scope: Scope,
  x: Tensor,
  { heads, causal }: MultiHeadConfig,
  {
    rotations,
    mask,
    documents,
    recompute = false,
  }: AttentionInputs & { readonly recompute?: boolean | undefined } = {},
): Tensor {
  const [B, T, d] = x.shape;
  const { q, k, v } = headProjections(scope, x, heads, { rotations, scale: 1 / Math.sqrt(d / heads) });
  const padding = mask && hiddenWhereMasked(mask).reshape([B, 1, 1, T]);
  if (!causal && !recompute) {
    const others = documents && hiddenAcross(documents.numbers, documents.numbers).reshape([B, 1, T, T]);
    return attentionOut(scope, rows(q, k.swapLast(), v, both(padding, others)));
  }
  // Computed again, the square of one head exists at a time.
  const apart = recompute ? [q, k, v].map((t) => t.split(1, new Array<number>(heads).fill(1))) : [[q], [k], [v]];
  const sets = apart[0].map((_, h) => ({ q: apart[0][h], k: apart[1][h], v: apart[2][h] }));
  const options = { causal, recompute, documents };
  const [first, ...rest] = inQueryBlocks(sets, options, ({ queries, keys, values, hidden }) =>
    rows(queries, keys, values, both(padding?.slice(3, 0, keys.shape[3]), hidden)),
  );
  return attentionOut(scope, first.concat(rest, 1));
}

/** The sum of what hides padding [B, 1, 1, N] and what hides other keys, as far as there are such. */
function both(padding: Tensor | undefined, others: Tensor | undefined): Tensor | undefined {
  return padding && others ? padding.add(others) : (padding ?? others);
}

/** Queries [B, H, R, w], keys [B, H, w, N], values [B, H, N, w] -> [B, H, R, w]; `hidden` is added to the scores. */
function rows(queries: Tensor, keys: Tensor, values: Tensor, hidden: Tensor | undefined): Tensor {
  const scores = queries.matmul(keys); // [B, H, R, N]
  return softmaxMatmul(hidden ? scores.add(hidden) : scores, values);
}
