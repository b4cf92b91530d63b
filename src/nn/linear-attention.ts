/**
 * Linear attention in chunks (Katharopoulos et al. 2020, "Transformers are RNNs"; Hua, Dai, Liu, Le 2022, section 3.2):
 * without a softmax, (q kᵀ) v = q (kᵀ v), and kᵀ v is one [s, n] matrix for each chunk. Shared by FLASH, MC-TFM++
 * and Performer.
 * Symbols: B sequences, G chunks of C tokens, s width of queries and keys, n of values; heads are an axis after B.
 */
import type { Tensor } from "../graph/tensor.ts";
import { acrossDocuments, type LinearInputs } from "./document-sums.ts";
import type { ChunkDocuments } from "./documents.ts";
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
 * documents is linearAttention). `before`, when causal, is kᵀ v of all tokens before the first chunk, which the first
 * document sees; what comes after is then that of the last token's document.
 */
export function acrossChunks(inputs: LinearInputs, chunks: ChunkVisibility, before?: RunningSum): AcrossChunks {
  const { q, v } = inputs;
  const { causal, documents } = chunks;
  if (documents) {
    const attended = acrossDocuments({ q, k: ofRealTokens(inputs.k, chunks), v }, documents, causal);
    return before ? goneOn(inputs, { chunks, documents, before, attended }) : { attended };
  }
  const isOne = q.shape[q.rank - 3] === 1;
  if (!before) {
    return { attended: isOne ? undefined : q.matmul(chunkSums(inputs, chunks).cumsum(-3, { exclusive: true })) };
  }
  const sums = chunkSums(inputs, chunks); // [B, …, G, s, n]
  const start = asOneChunk(before.sum, sums); // [B, …, 1, s, n]
  const memory = isOne ? start : sums.cumsum(-3, { exclusive: true }).add(start);
  return { attended: q.matmul(memory), after: addCompensated(before, sums.sum([-3]).reshape(before.sum.shape)) };
}

interface GoneOn {
  readonly chunks: ChunkVisibility;
  readonly documents: ChunkDocuments;
  readonly before: RunningSum;
  /** Of the documents within the window. */
  readonly attended: Tensor | undefined;
}

/** A window whose first document goes on from `before`. */
function goneOn({ q, k, v }: LinearInputs, { chunks, documents, before, attended }: GoneOn): AcrossChunks {
  const { segmentIds } = documents;
  const [B, G, C] = segmentIds.shape;
  const lastId = documents.last.slice(1, G - 1, G); // [B, 1]
  const isOf = (id: Tensor | number) => segmentIds.equal(id).cast("float32"); // [B, G, C]
  const ofFirst = broadcastOverHeads(isOf(1).reshape([B, G, C, 1]), q.rank);
  const ofLast = broadcastOverHeads(isOf(lastId.reshape([B, 1, 1])).reshape([B, G, 1, C]), k.rank);
  const sums = chunkSums({ q, k: k.mul(ofLast), v }, chunks);
  const goesOn = asOneText(lastId.equal(1).cast("float32"), before.sum);
  const kept = { sum: before.sum.mul(goesOn), compensation: before.compensation.mul(goesOn) };
  return {
    attended: addOptional(q.mul(ofFirst).matmul(asOneChunk(before.sum, sums)), attended),
    after: addCompensated(kept, sums.sum([-3]).reshape(before.sum.shape)),
  };
}

/** A state [B, …, s, n] with an axis of chunks, as `sums` have it. */
function asOneChunk(state: Tensor, sums: Tensor): Tensor {
  return state.reshape([...sums.shape.slice(0, -3), 1, ...sums.shape.slice(-2)]);
}

/** [B, 1] to broadcast with a state [B, …], or with that of a single text, which has no axis B. */
function asOneText(t: Tensor, { rank }: Tensor): Tensor {
  return t.reshape([-1, ...new Array<number>(Math.max(1, rank - 1)).fill(1)]);
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
