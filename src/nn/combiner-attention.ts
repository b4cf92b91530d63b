/**
 * Combiner with the fixed pattern (Ren et al. 2021, "Combiner: Full Attention Transformer with Sparse Computation Cost",
 * section 4.1): one softmax over the tokens of the own block and one summary of each other block, only of earlier ones
 * when causal. A block's summary key is the element-wise maximum of its keys; its summary value weighs its values by
 * softmax of (maximum of its queries) . keys. Cost per token: C + G scores, G = ceil(T / C) blocks of C tokens.
 */
import { constant, type Tensor } from "../graph/tensor.ts";
import {
  type AttentionInputs,
  attentionOut,
  type ChunkedHeadsConfig,
  headChunks,
  headProjections,
  hiddenWhereMasked,
  joinHeadChunks,
  realInChunks,
  softmaxMatmul,
} from "./multi-head.ts";
import { causalBias } from "./positions.ts";
import type { Scope } from "./scope.ts";

/** x [B, T, d] -> [B, T, d] for any T; mask [B, T] is 1 where a token is real. */
export function combinerAttention(
  scope: Scope,
  x: Tensor,
  config: ChunkedHeadsConfig,
  { rotations, mask }: AttentionInputs = {},
): Tensor {
  const { heads, causal, chunk: C } = config;
  const [, T, d] = x.shape;
  const scale = 1 / Math.sqrt(d / heads);
  const { q, k, v } = headProjections(scope, x, heads, { rotations, scale });
  const [qc, kc, vc] = [q, k, v].map((t) => headChunks(t, C)); // [B, H, G, C, w] each
  const G = qc.shape[2];
  const real = realInChunks(config, x, mask); // [B or 1, 1, G, C]
  const hidden = real && hiddenWhereMasked(real); // 0 or -1e30

  // With one block there is no other one to see.
  if (G === 1) {
    const scores = qc.matmul(kc.swapLast()); // [B, H, 1, C, C]
    const ordered = causal ? scores.add(causalBias(C)) : scores;
    const local = hidden ? ordered.add(hidden.reshape([-1, 1, G, 1, C])) : ordered;
    return attentionOut(scope, joinHeadChunks(softmaxMatmul(local, vc), T));
  }

  const { summaryK, summaryV } = summaries(qc, kc, vc, real, hidden); // [B, H, G, w] each
  const scores = qc.matmul(besideSummaries(kc, summaryK).swapLast()).add(unseen(G, config, x)); // [B, H, G, C, C + G]
  const blocks = real && hiddenWhereMasked(real.maximum([3])).reshape([-1, 1, 1, 1, G]); // blocks without a real token
  const padding =
    hidden && blocks && hidden.reshape([-1, 1, G, 1, C]).concat([blocks.expand([blocks.shape[0], 1, G, 1, G])], -1);
  const found = softmaxMatmul(padding ? scores.add(padding) : scores, besideSummaries(vc, summaryV));
  return attentionOut(scope, joinHeadChunks(found, T));
}

/** Each block's own rows [B, H, G, C, w] and then the summaries [B, H, G, w] of all blocks: [B, H, G, C + G, w]. */
function besideSummaries(own: Tensor, summary: Tensor): Tensor {
  const [B, H, G, w] = summary.shape;
  return own.concat([summary.reshape([B, H, 1, G, w]).expand([B, H, G, G, w])], 3);
}

/** Summary keys and values [B, H, G, w] of blocks; q is scaled. Of a block without a real token they are finite, no more. */
function summaries(
  qc: Tensor,
  kc: Tensor,
  vc: Tensor,
  real: Tensor | undefined,
  hidden: Tensor | undefined,
): { summaryK: Tensor; summaryV: Tensor } {
  const [B, H, G, C, w] = qc.shape;
  const largest = (t: Tensor): Tensor => {
    if (!real || !hidden) return t.maximum([3]); // [B, H, G, 1, w]
    const some = real.maximum([3]).reshape([-1, 1, G, 1, 1]); // 0 where all is padding
    return t
      .add(hidden.reshape([-1, 1, G, C, 1]))
      .maximum([3])
      .mul(some);
  };
  const scores = largest(qc).matmul(kc.swapLast()); // [B, H, G, 1, C]
  const weighed = softmaxMatmul(hidden ? scores.add(hidden.reshape([-1, 1, G, 1, C])) : scores, vc); // [B, H, G, 1, w]
  return { summaryK: largest(kc).reshape([B, H, G, w]), summaryV: weighed.reshape([B, H, G, w]) };
}

/** Added to scores [G, C, C + G], it hides own and, when causal, later blocks, and the future in a token's own block. */
function unseen(G: number, { chunk: C, causal }: ChunkedHeadsConfig, like: Tensor): Tensor {
  const local = causal ? causalBias(C) : like.zeros([C, C]);
  const others = constant(otherBlocksHidden(G, causal), [G, 1, G]);
  return local.expand([G, C, C]).concat([others.expand([G, C, G])], -1);
}

/** -1e30 where a query's block [G] must not see a block's summary [G]: its own, and when causal later ones. */
function otherBlocksHidden(G: number, causal: boolean): Float32Array {
  return Float32Array.from({ length: G * G }, (_, at) => {
    const [own, other] = [Math.floor(at / G), at % G];
    return other === own || (causal && other > own) ? -1e30 : 0;
  });
}
