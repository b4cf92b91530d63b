/**
 * The attention of MC-TFM++ (Hua, Dai, Liu, Le 2022, section 4, ablations): mixed chunk attention inside multi-head
 * softmax attention. Each head keeps softmax attention inside the chunk and adds linear attention across chunks; its two
 * queries and two keys come from q and k by per-dimension scale and offset, as in the gated unit (mixed-chunk-attention.ts).
 */
import type { Tensor } from "../graph/tensor.ts";
import { softmaxMatmul } from "./attention-functions.ts";
import { linearInDocuments } from "./document-sums.ts";
import { scaleAndShift } from "./linear.ts";
import {
  type AttentionInputs,
  attentionOut,
  type ChunkedHeadsConfig,
  headChunks,
  joinHeadChunks,
  projections,
  realInChunks,
  ropeOfHeads,
  splitHeads,
} from "./multi-head.ts";
import { type AngleTable, causalBias } from "./positions.ts";
import type { Scope } from "./scope.ts";
import { hiddenWhereMasked } from "./visibility.ts";

/** x [B, T, d] -> [B, T, d] for any T; rotations [T, w / 2]; mask [B, T] is 1 where a token is real. */
export function mixedChunkSoftmaxAttention(
  scope: Scope,
  x: Tensor,
  config: ChunkedHeadsConfig,
  { rotations, mask, documents }: AttentionInputs & { readonly rotations: AngleTable },
): Tensor {
  const { heads, causal, chunk: C } = config;
  const [, T, d] = x.shape;
  const w = d / heads;
  const [q, k, v] = projections(scope, x);
  // Looking both ways within documents, each is divided by the length of its own.
  const linearScale = !causal && documents ? 1 : 1 / (causal ? C : T);
  const [qq, qk, lq, lk] = affineHeads(scope.at("heads"), [q, k, q, k], heads, [
    1 / Math.sqrt(w),
    1,
    linearScale,
    1,
  ]).map((t) => headChunks(ropeOfHeads(splitHeads(t, heads), rotations), C)); // [B, H, G, C, w] each
  const vc = headChunks(splitHeads(v, heads), C); // [B, H, G, C, w]
  const G = vc.shape[2];
  const real = realInChunks(config, x, mask); // [B or 1, 1, G, C]

  const scores = qq.matmul(qk.swapLast()); // [B, H, G, C, C]
  const chunks = documents?.inChunks(C);
  const ordered = chunks
    ? scores.add(chunks.hidden(causal).reshape([-1, 1, G, C, C]))
    : causal
      ? scores.add(causalBias(C))
      : scores;
  const local = softmaxMatmul(real ? ordered.add(hiddenWhereMasked(real).reshape([-1, 1, G, 1, C])) : ordered, vc);
  // With one chunk the causal model has nothing distant.
  if (causal && G === 1) return attentionOut(scope, joinHeadChunks(local, T));
  const keys = real ? lk.mul(real.reshape([-1, 1, G, C, 1])) : lk;
  if (chunks) {
    const distant = linearInDocuments({ q: lq, k: keys, v: vc }, chunks, causal);
    return attentionOut(scope, joinHeadChunks(distant ? local.add(distant) : local, T));
  }
  const kv = keys.swapLast().matmul(vc); // [B, H, G, w, w]
  const memory = causal ? kv.cumsum(2, { exclusive: true }) : kv.sum([2]); // [B, H, G or 1, w, w]
  return attentionOut(scope, joinHeadChunks(local.add(lq.matmul(memory)), T));
}

/**
 * Quadratic query and key, linear query and key from q, k, q, k [B, T, d]: gamma and beta [4, H, w], taken while the heads
 * still lie side by side. `scales` multiply each result, at no cost to activations.
 */
export function affineHeads(
  scope: Scope,
  sources: readonly Tensor[],
  heads: number,
  scales: readonly number[],
): Tensor[] {
  const d = sources[0].shape[2];
  const rowsOf = (name: string, value: number) =>
    scope
      .parameter(name, [4, heads, d / heads], { constant: value })
      .split(0, [1, 1, 1, 1])
      .map((row, i) => row.reshape([d]).mul(scales[i]));
  const gammas = rowsOf("gamma", 1);
  const betas = rowsOf("beta", 0);
  return sources.map((source, i) => scaleAndShift(source, gammas[i], betas[i]));
}
