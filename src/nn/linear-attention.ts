/**
 * Linear attention in chunks (Katharopoulos et al. 2020, "Transformers are RNNs"; Hua, Dai, Liu, Le 2022, section 3.2):
 * without a softmax, q kᵀ v is a product with a sum of kᵀ v, one [s, n] matrix a chunk. Shared by FLASH, MC-TFM++ and
 * Performer.
 * Symbols: B sequences, G chunks of C tokens, s width of queries and keys, n of values; heads are an axis after B.
 */
import type { Tensor } from "../graph/tensor.ts";
import { acrossDocuments, type LinearInputs } from "./document-sums.ts";
import { besideHeads, type ChunkVisibility } from "./visibility.ts";

/**
 * A sum over a long text, [B, …, s, n]: float32 would round small summands away, so what was rounded away is kept as
 * `rest`.
 */
export interface RunningSum {
  readonly sum: Tensor;
  readonly rest: Tensor;
}

interface LinearOptions {
  /**
   * Whether a causal query finds the tokens of its own chunk up to itself, or those of earlier chunks alone (default).
   */
  readonly ownPast?: boolean;
  /** kᵀ v of all tokens before the first chunk; causal, and not with documents. */
  readonly before?: RunningSum | undefined;
}

interface LinearFound {
  /** [B, …, G, C, n]; undefined when there is nothing to be found: causal, one chunk, nothing before. */
  readonly found: Tensor | undefined;
  /** The sum before with the tokens of these chunks; undefined without one before. */
  readonly after?: RunningSum | undefined;
}

/** What every query finds: when causal of the past, else of all tokens; of its own document where there are any. */
export function linearAttention(
  inputs: LinearInputs,
  chunks: ChunkVisibility,
  { ownPast = false, before }: LinearOptions = {},
): LinearFound {
  const { q, v } = inputs;
  if (!chunks.causal && !chunks.documents) {
    const sums = chunkSums(inputs, chunks);
    return { found: q.matmul(sums.shape[sums.rank - 3] === 1 ? sums : sums.sum([-3])) };
  }
  const across = acrossChunks(inputs, chunks, before);
  if (chunks.causal && !ownPast) return across;
  const own = ownWeights(inputs, chunks).matmul(v);
  return { ...across, found: across.found ? own.add(across.found) : own };
}

/** q kᵀ of the tokens of a chunk on each other, 0 where one is not to be seen: [B, …, G, C, C]. */
export function ownWeights({ q, k }: LinearInputs, { visible }: ChunkVisibility): Tensor {
  const weights = q.matmul(k);
  return visible ? weights.mul(besideHeads(visible, weights.rank)) : weights;
}

/**
 * What queries find in other chunks than their own: in earlier ones and, looking both ways within documents, in later
 * ones (without documents, linearAttention does not tell them apart).
 */
export function acrossChunks(inputs: LinearInputs, chunks: ChunkVisibility, before?: RunningSum): LinearFound {
  const { q, v } = inputs;
  const { causal, documents } = chunks;
  if (documents) return { found: acrossDocuments({ q, k: ofRealTokens(inputs.k, chunks), v }, documents, causal) };
  const isOne = q.shape[q.rank - 3] === 1;
  if (!before) {
    return { found: isOne ? undefined : q.matmul(chunkSums(inputs, chunks).cumsum(-3, { exclusive: true })) };
  }
  const sums = chunkSums(inputs, chunks); // [B, …, G, s, n]
  const start = before.sum.reshape([...sums.shape.slice(0, -3), 1, ...sums.shape.slice(-2)]);
  const memory = isOne ? start : sums.cumsum(-3, { exclusive: true }).add(start);
  return { found: q.matmul(memory), after: added(before, sums.sum([-3]).reshape(before.sum.shape)) };
}

/** kᵀ v of each chunk, of real tokens alone: [B, …, G, s, n]. */
export function chunkSums({ k, v }: LinearInputs, chunks: ChunkVisibility): Tensor {
  return ofRealTokens(k, chunks).matmul(v);
}

/** k [B, …, G, s, C], 0 where a token is not real. */
function ofRealTokens(k: Tensor, { real }: ChunkVisibility): Tensor {
  if (!real) return k;
  const [B, G, C] = real.shape;
  return k.mul(besideHeads(real.reshape([B, G, 1, C]), k.rank));
}

/**
 * sum + x with what rounding takes from it: the two-sum of Knuth (The Art of Computer Programming 2, section 4.2.2),
 * exact in float32 as long as nothing reorders it.
 */
export function added({ sum, rest }: RunningSum, x: Tensor): RunningSum {
  const summand = x.add(rest);
  const total = sum.add(summand);
  const taken = total.sub(sum);
  return { sum: total, rest: sum.sub(total.sub(taken)).add(summand.sub(taken)) };
}
