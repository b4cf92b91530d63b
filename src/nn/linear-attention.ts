/**
 * Linear attention in chunks (Katharopoulos et al. 2020, "Transformers are RNNs"; Hua, Dai, Liu, Le 2022, section 3.2):
 * without a softmax, (q kᵀ) v = q (kᵀ v), and kᵀ v is one [s, n] matrix for each chunk. Shared by FLASH, MC-TFM++
 * and Performer.
 * Symbols: B sequences, G chunks of C tokens, s width of queries and keys, n of values; heads are an axis after B.
 */
import type { Tensor } from "../graph/tensor.ts";
import { acrossDocuments, type LinearInputs } from "./document-sums.ts";
import type { Tensors } from "./layer.ts";
import { addOptional, broadcastOverHeads, type ChunkVisibility } from "./visibility.ts";

/** A sum over a long text, [B, …, s, n]. float32 rounds small summands away; `compensation` is what has been lost. */
export interface RunningSum {
  readonly sum: Tensor;
  readonly compensation: Tensor;
}

interface AcrossChunks {
  /** [B, …, G, C, n]; undefined when there is no other chunk to attend to. */
  readonly attended: Tensor | undefined;
  /** The sum before these chunks plus their own; undefined without one before. */
  readonly after?: RunningSum | undefined;
}

/**
 * Attention of every token to all tokens that it may see: when causal up to itself, else all, of its own document where
 * there are several. [B, …, G, C, n].
 */
export function linearAttention(inputs: LinearInputs, chunks: ChunkVisibility): Tensor {
  const { q, v } = inputs;
  if (!chunks.causal && !chunks.documents) {
    const sums = chunkSums(inputs, chunks);
    return q.matmul(sums.shape[sums.rank - 3] === 1 ? sums : sums.sum([-3]));
  }
  return addOptional(ownWeights(inputs, chunks).matmul(v), acrossChunks(inputs, chunks).attended);
}

/** q kᵀ between the tokens of each chunk, 0 where one must not see the other: [B, …, G, C, C]. */
export function ownWeights({ q, k }: LinearInputs, { visible }: ChunkVisibility): Tensor {
  const weights = q.matmul(k);
  return visible ? weights.mul(broadcastOverHeads(visible, weights.rank)) : weights;
}

/**
 * Attention to the chunks before a token's own, and after it when bidirectional within documents (bidirectional without
 * documents is linearAttention). `before` is kᵀ v of all tokens before the first chunk: causal, and without
 * documents.
 */
export function acrossChunks(inputs: LinearInputs, chunks: ChunkVisibility, before?: RunningSum): AcrossChunks {
  const { q, v } = inputs;
  const { causal, documents } = chunks;
  if (documents) return { attended: acrossDocuments({ q, k: ofRealTokens(inputs.k, chunks), v }, documents, causal) };
  const isOne = q.shape[q.rank - 3] === 1;
  if (!before) {
    return { attended: isOne ? undefined : q.matmul(chunkSums(inputs, chunks).cumsum(-3, { exclusive: true })) };
  }
  const sums = chunkSums(inputs, chunks); // [B, …, G, s, n]
  const start = before.sum.reshape([...sums.shape.slice(0, -3), 1, ...sums.shape.slice(-2)]); // [B, …, 1, s, n]
  const memory = isOne ? start : sums.cumsum(-3, { exclusive: true }).add(start);
  return { attended: q.matmul(memory), after: addCompensated(before, sums.sum([-3]).reshape(before.sum.shape)) };
}

/** kᵀ v of the real tokens of each chunk: [B, …, G, s, n]. */
export function chunkSums({ k, v }: LinearInputs, chunks: ChunkVisibility): Tensor {
  return ofRealTokens(k, chunks).matmul(v);
}

/** k [B, …, G, s, C], with 0 where a token is not real. */
function ofRealTokens(k: Tensor, { real }: ChunkVisibility): Tensor {
  if (!real) return k;
  const [B, G, C] = real.shape;
  return k.mul(broadcastOverHeads(real.reshape([B, G, 1, C]), k.rank));
}

/**
 * sum + x and what rounding takes from it: compensated summation by Knuth's two-sum (The Art of Computer Programming 2,
 * section 4.2.2), exact in float32 as long as nothing reorders it.
 */
export function addCompensated({ sum, compensation }: RunningSum, x: Tensor): RunningSum {
  const summand = x.add(compensation);
  const total = sum.add(summand);
  const taken = total.sub(sum);
  return { sum: total, compensation: sum.sub(total.sub(taken)).add(summand.sub(taken)) };
}

/** Recurrence.close of linear attention: adds kᵀ v of the chunk that is full to the sum over the closed chunks. */
export function closeChunk({ linearKeys, values, closedSum, compensation }: Tensors): Tensors {
  const after = addCompensated({ sum: closedSum, compensation }, linearKeys.swapLast().matmul(values));
  return { closedSum: after.sum, compensation: after.compensation };
}
