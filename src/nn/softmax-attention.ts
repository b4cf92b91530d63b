/**
 * Multi-head softmax attention (Vaswani et al. 2017, section 3.2): the attention of Transformer, Transformer+ (with RoPE)
 * and Transformer++. Its cost grows with the square of T.
 */
import type { Tensor } from "../graph/tensor.ts";
import { softmaxMatmul } from "./attention-functions.ts";
import { type AttentionInputs, attentionOut, headProjections, type MultiHeadConfig } from "./multi-head.ts";
import { inQueryBlocks } from "./query-blocks.ts";
import type { Scope } from "./scope.ts";
import { Visibility } from "./visibility.ts";

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
  const d = x.shape[2];
  const visibility = new Visibility({ causal, mask, documents });
  const { q, k, v } = headProjections(scope, x, heads, { rotations, scale: 1 / Math.sqrt(d / heads) });
  // Computed again, the square of one head exists at a time.
  const apart = recompute ? [q, k, v].map((t) => t.split(1, new Array<number>(heads).fill(1))) : [[q], [k], [v]];
  const sets = apart[0].map((_, h) => ({ q: apart[0][h], k: apart[1][h], v: apart[2][h] }));
  const [first, ...rest] = inQueryBlocks(sets, { visibility, recompute }, ({ queries, keys, values, hidden }) => {
    const scores = queries.matmul(keys); // [B, H, R, N]
    return softmaxMatmul(hidden ? scores.add(hidden) : scores, values);
  });
  return attentionOut(scope, first.concat(rest, 1));
}
