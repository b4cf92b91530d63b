/**
 * Mixed chunk attention (Hua, Dai, Liu, Le 2022, section 3.2), for FLASH and, by heads, for MC-TFM++: inside a chunk of
 * C tokens attention by a function of scores, exact and quadratic in C; across chunks linear attention, through one [s,
 * n] matrix of sums per chunk. Cost per token does not depend on the length. Either half may be left out.
 */
import type { Tensor } from "../graph/tensor.ts";
import { type AttentionFunction, attend } from "./attention-functions.ts";
import { acrossChunks, chunkSums, linearAttention, ownWeights, type RunningSum } from "./linear-attention.ts";
import type { QueriesKeys } from "./positions.ts";
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
  /** lkᵀ v of all tokens before the first chunk. */
  readonly before?: RunningSum | undefined;
}

/**
 * The scale of linear queries: 1 over the number of tokens that they may see. When bidirectional within documents that
 * number is the length of each document, by which mixedChunkAttention divides.
 */
export function linearScale({ causal, documents }: Visibility, C: number, T: number): number {
  if (causal) return 1 / C;
  return documents ? 1 : 1 / T;
}

interface MixedAttention {
  /** [B, …, G, C, n] */
  readonly attended: Tensor;
  /** The sum before these chunks plus their own; undefined without one before. */
  readonly after?: RunningSum | undefined;
}

export function mixedChunkAttention(
  { quadratic, linear, v }: MixedInputs,
  chunks: ChunkVisibility,
  { attentionFunction, bias, before }: MixedOptions,
): MixedAttention {
  const inverseLength = chunks.causal ? undefined : chunks.documents?.inverseLength; // [B, G, C]
  const scaled = (q: Tensor) =>
    inverseLength ? q.mul(broadcastOverHeads(inverseLength.reshape([...inverseLength.shape, 1]), q.rank)) : q;
  const distant = linear && { q: scaled(linear.q), k: linear.k.swapLast(), v };
  if (!quadratic) {
    if (!distant) return { attended: v };
    if (!chunks.causal) return { attended: linearAttention(distant, chunks) };
    const { attended, after } = acrossChunks(distant, chunks, before);
    // A single chunk has no chunk before it to attend to: zeros, but queries and keys stay in the graph.
    return { attended: attended ?? distant.q.matmul(chunkSums(distant, chunks).mul(0)), after };
  }
  // When bidirectional within documents, both kinds of weights inside a chunk are multiplied by the values at once.
  const linearWeights = distant && inverseLength && ownWeights(distant, chunks);
  const isAcross = chunks.causal || inverseLength !== undefined;
  const across: ReturnType<typeof acrossChunks> | undefined =
    distant && (isAcross ? acrossChunks(distant, chunks, before) : { attended: linearAttention(distant, chunks) });
  const { rank } = v;
  const hidden = chunks.hidden && broadcastOverHeads(chunks.hidden, rank);
  const scores = quadratic.q.matmul(quadratic.k.swapLast()); // [B, …, G, C, C]
  const local = attend(attentionFunction, addOptional(scores, addOptional(bias, hidden)), v, linearWeights);
  return { attended: addOptional(local, across?.attended), after: across?.after };
}
