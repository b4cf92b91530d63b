/**
 * Mixed chunk attention (Hua, Dai, Liu, Le 2022, section 3.2), for FLASH and, by heads, for MC-TFM++: inside a chunk of
 * C tokens attention by a function of scores, exact and quadratic in C; across chunks linear attention, through one [s,
 * n] matrix of sums a chunk. Cost per token does not depend on the length. Each half may be missing.
 */
import type { Tensor } from "../graph/tensor.ts";
import { type AttentionFunction, attend } from "./attention-functions.ts";
import { acrossChunks, chunkSums, linearAttention, ownWeights, type RunningSum } from "./linear-attention.ts";
import { besideHeads, type ChunkVisibility, type Visibility } from "./visibility.ts";

/** Queries and keys in chunks, [B, …, G, C, s] each; the queries scaled. */
export interface QueriesKeys {
  readonly q: Tensor;
  readonly k: Tensor;
}

interface MixedInputs {
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
 * What linear queries are multiplied by, as a part of their scale: 1 over the tokens that they may find. Looking both
 * ways within documents that is the length of each one's own, by which mixedChunkAttention divides.
 */
export function linearScale({ causal, documents }: Visibility, C: number, T: number): number {
  if (causal) return 1 / C;
  return documents ? 1 : 1 / T;
}

interface MixedFound {
  /** [B, …, G, C, n] */
  readonly found: Tensor;
  /** The sum before with the tokens of these chunks; undefined without one before. */
  readonly after?: RunningSum | undefined;
}

export function mixedChunkAttention(
  { quadratic, linear, v }: MixedInputs,
  chunks: ChunkVisibility,
  { attentionFunction, bias, before }: MixedOptions,
): MixedFound {
  const share = chunks.causal ? undefined : chunks.documents?.share;
  const scaled = (q: Tensor) => (share ? q.mul(besideHeads(share.reshape([...share.shape, 1]), q.rank)) : q);
  const distant = linear && { q: scaled(linear.q), k: linear.k.swapLast(), v };
  if (!quadratic) {
    const { found, after } = distant ? linearAttention(distant, chunks, { before }) : {};
    // One chunk has nothing distant: zeros, in which queries and keys take part all the same.
    return { found: found ?? (distant ? distant.q.matmul(chunkSums(distant, chunks).mul(0)) : v), after };
  }
  // Looking both ways within documents, both weights of the own chunk are multiplied with the values at once.
  const more = distant && share && ownWeights(distant, chunks);
  const across = distant && (share ? acrossChunks(distant, chunks) : linearAttention(distant, chunks, { before }));
  const added = bias && chunks.hidden ? bias.add(besideHeads(chunks.hidden, v.rank)) : (bias ?? chunks.hidden);
  const scores = quadratic.q.matmul(quadratic.k.swapLast()); // [B, …, G, C, C]
  const local = attend(attentionFunction, added ? scores.add(besideHeads(added, v.rank)) : scores, v, more);
  return { found: across?.found ? local.add(across.found) : local, after: across?.after };
}
