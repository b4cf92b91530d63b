/**
 * Combiner with the fixed pattern (Ren et al. 2021, "Combiner: Full Attention Transformer with Sparse Computation Cost",
 * section 4.1): one softmax over the tokens of the own block and one summary of each other block, only of earlier ones
 * when causal. A block's summary key is the element-wise maximum of its keys; its summary value weighs its values by
 * softmax of (maximum of its queries) . keys. Cost per token: C + G scores, G = ceil(T / C) blocks of C tokens. Within
 * documents a block has a summary of its last document, for later blocks, and one of its first, for earlier blocks.
 */
import { constant, type Tensor } from "../graph/tensor.ts";
import { softmaxMatmul } from "./attention-functions.ts";
import type { ChunkDocuments } from "./documents.ts";
import {
  type AttentionInputs,
  attentionOut,
  type ChunkedHeadsConfig,
  headChunks,
  headProjections,
  joinHeadChunks,
  realInChunks,
} from "./multi-head.ts";
import { causalBias } from "./positions.ts";
import type { Scope } from "./scope.ts";
import { hiddenAcross, hiddenWhereMasked, tokenPositions } from "./visibility.ts";

/** x [B, T, d] -> [B, T, d] for any T; mask [B, T] is 1 where a token is real. */
export function combinerAttention(
  scope: Scope,
  x: Tensor,
  config: ChunkedHeadsConfig,
  { rotations, mask, documents }: AttentionInputs = {},
): Tensor {
  const { heads, causal, chunk: C } = config;
  const [, T, d] = x.shape;
  const scale = 1 / Math.sqrt(d / heads);
  const { q, k, v } = headProjections(scope, x, heads, { rotations, scale });
  const [qc, kc, vc] = [q, k, v].map((t) => headChunks(t, C)); // [B, H, G, C, w] each
  const G = qc.shape[2];
  const real = realInChunks(config, x, mask); // [B or 1, 1, G, C]
  const hidden = real && hiddenWhereMasked(real); // 0 or -1e30
  if (documents) {
    const found = inDocuments(qc, kc, vc, documents.inChunks(C), { causal, real: mask && real });
    return attentionOut(scope, joinHeadChunks(found, T));
  }

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

/** The same where documents do not see each other: q (scaled), k, v [B, H, G, C, w] -> [B, H, G, C, w]; real [B, 1, G, C]. */
function inDocuments(
  qc: Tensor,
  kc: Tensor,
  vc: Tensor,
  documents: ChunkDocuments,
  { causal, real }: { readonly causal: boolean; readonly real: Tensor | undefined },
): Tensor {
  const [B, H, G, C, w] = qc.shape;
  const padding = real && hiddenWhereMasked(real).reshape([B, 1, G, 1, C]);
  const ownHidden = documents.hidden(causal).reshape([B, 1, G, C, C]);
  const own = padding ? ownHidden.add(padding) : ownHidden;
  if (G === 1) return softmaxMatmul(qc.matmul(kc.swapLast()).add(own), vc);

  const ofDocument = (tokens: Tensor, labels: Tensor) => {
    const inIt = tokens.reshape([B, 1, G, C]);
    const counted = real ? inIt.mul(real) : inIt;
    // No token has the number 0: what is made of padding alone is not seen.
    const label = real ? labels.mul(counted.maximum([3]).reshape([B, G])) : labels;
    return { ...summaries(qc, kc, vc, counted, hiddenWhereMasked(counted)), label };
  };
  const last = ofDocument(documents.inLast, documents.last);
  const first = causal ? last : ofDocument(documents.inFirst, documents.first);
  const positions = tokenPositions(G);
  const isEarlier = positions.reshape([1, G]).less(positions.reshape([G, 1])); // of a query's block [G], another block [G]
  const beside = (own: Tensor, ofLast: Tensor, ofFirst: Tensor) => {
    const [a, b] = [ofLast, ofFirst].map((t) => t.reshape([B, H, 1, G, w]));
    const chosen = causal ? a.expand([B, H, G, G, w]) : isEarlier.reshape([G, G, 1]).where(a, b);
    return own.concat([chosen], 3); // [B, H, G, C + G, w]
  };
  const labels = isEarlier.where(last.label.reshape([B, 1, G]), first.label.reshape([B, 1, G])); // [B, G, G]
  const order = constant(otherBlocksHidden(G, causal), [G, 1, G]);
  const others = hiddenAcross(documents.numbers, labels, order).reshape([B, 1, G, C, G]);
  const keys = beside(kc, last.summaryK, first.summaryK);
  const scores = qc.matmul(keys.swapLast()).add(own.concat([others], -1)); // [B, H, G, C, C + G]
  return softmaxMatmul(scores, beside(vc, last.summaryV, first.summaryV));
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
