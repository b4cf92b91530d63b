/**
 * Mixed chunk attention (Hua, Dai, Liu, Le 2022, section 3.2), for FLASH and, by heads, for MC-TFM++: inside a chunk of
 * C tokens attention by a function of scores, exact and quadratic in C; across chunks linear attention, through one [s,
 * n] matrix per chunk, the sum over other chunks or their mean. Cost per token does not depend on the length. Either half
 * may be left out.
 */
import type { Tensor } from "../graph/tensor.ts";
import { type AttentionFunction, attend, weightsOf } from "./attention-functions.ts";
import type { Decays } from "./distant-memory.ts";
import type { LayerInputs, Tensors } from "./layer.ts";
import { acrossChunks, chunkSums, linearAttention, ownWeights } from "./linear-attention.ts";
import { type MeanInputs, meanAttention } from "./mean-attention.ts";
import type { QueriesKeys } from "./positions.ts";
import type { QueriesKeysValues } from "./query-blocks.ts";
import { addOptional, broadcastOverHeads, type ChunkVisibility, type Visibility } from "./visibility.ts";

interface MixedInputs {
  /** In chunks, [B, …, G, C, s] each. */
  readonly quadratic?: QueriesKeys | undefined;
  readonly linear?: QueriesKeys | undefined;
  /** [B, …, G, C, n]; zero after the last token. */
  readonly v: Tensor;
}

interface MixedOptions {
  readonly attentionFunction: AttentionFunction;
  /** Added to the quadratic scores, [C, C]. */
  readonly bias?: Tensor | undefined;
  /** Where the linear half is a mean over chunks; undefined: it is a sum. */
  readonly decays?: Decays | undefined;
  /** The replaced entries of memoryState, of all tokens before the first chunk. */
  readonly before?: Tensors | undefined;
  readonly observe?: LayerInputs["observe"];
}

/**
 * The scale of linear queries of a sum: 1 over the number of tokens that they may see. When bidirectional within
 * documents that number is the length of each document, by which mixedChunkAttention divides. Of a mean: 1 / C.
 */
export function linearScale({ causal, documents }: Visibility, C: number, T: number): number {
  if (causal) return 1 / C;
  return documents ? 1 : 1 / T;
}

interface MixedAttention {
  /** [B, …, G, C, n] */
  readonly attended: Tensor;
  /** The entries of `before`, after these chunks; undefined without them. */
  readonly after?: Tensors | undefined;
}

export function mixedChunkAttention(
  { quadratic, linear, v }: MixedInputs,
  chunks: ChunkVisibility,
  { attentionFunction, bias, decays, before, observe }: MixedOptions,
): MixedAttention {
  const distant =
    linear && (decays ? ofMean({ ...linear, v, decays }, chunks, before) : ofSum({ ...linear, v }, chunks, before));
  const { weights, attended, after } = distant ?? {};
  if (!quadratic) {
    const all = addOptional(weights?.matmul(v), attended);
    // A single chunk has no chunk before it to attend to: zeros, but queries and keys stay in the graph.
    const none = () =>
      linear ? linear.q.matmul(chunkSums({ ...linear, k: linear.k.swapLast(), v }, chunks).mul(0)) : v;
    observe?.({ distant: all });
    return { attended: all ?? none(), after };
  }
  const hidden = chunks.hidden && broadcastOverHeads(chunks.hidden, v.rank);
  const scores = quadratic.q.matmul(quadratic.k.swapLast()); // [B, …, G, C, C]
  const biased = addOptional(scores, addOptional(bias, hidden));
  const local = attend(attentionFunction, biased, v, weights);
  observe?.({ weights: weightsOf(attentionFunction, biased), local, distant: attended });
  return { attended: addOptional(local, attended), after };
}

/** The distant half of all tokens. */
interface Distant {
  /** From other chunks, or from all, [B, …, G, C, n]. */
  readonly attended?: Tensor | undefined;
  /** Weights of the tokens of the own chunk that are not in `attended`, [B, …, G, C, C]. */
  readonly weights?: Tensor | undefined;
  readonly after?: Tensors | undefined;
}

function ofSum({ q, k, v }: QueriesKeysValues, chunks: ChunkVisibility, before: Tensors | undefined): Distant {
  const inverseLength = chunks.causal ? undefined : chunks.documents?.inverseLength; // [B, G, C]
  const scaled = inverseLength
    ? q.mul(broadcastOverHeads(inverseLength.reshape([...inverseLength.shape, 1]), q.rank))
    : q;
  const inputs = { q: scaled, k: k.swapLast(), v };
  if (!chunks.causal && !inverseLength) return { attended: linearAttention(inputs, chunks) };
  const sum = before && { sum: before.closedSum, compensation: before.compensation };
  const { attended, after } = acrossChunks(inputs, chunks, sum);
  return {
    attended,
    weights: inverseLength && ownWeights(inputs, chunks),
    after: after && { closedSum: after.sum, compensation: after.compensation },
  };
}

function ofMean(inputs: MeanInputs, chunks: ChunkVisibility, before: Tensors | undefined): Distant {
  const { attended, own, after } = meanAttention(
    inputs,
    chunks,
    before && { mean: before.mean, weight: before.weight },
  );
  return { attended, weights: own, after: after && { ...after } };
}
