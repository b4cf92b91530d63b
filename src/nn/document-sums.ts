/**
 * Linear attention within documents: for each chunk, sums over the chunks before and after it that include only tokens
 * of the same document. The tokens of a document are contiguous, so a chunk contributes its last document's tokens to
 * later chunks and its first document's tokens to earlier ones, for as long as that document goes on. Cost and memory
 * per token do not depend on the length. Nothing is subtracted, and other documents count with a factor of 0.
 * Symbols: B windows, H heads, G chunks of C tokens, s width of queries and keys, n of values.
 */
import type { Tensor } from "../graph/tensor.ts";
import { type ChunkDocuments, neighbours, onOneSide, type Side } from "./documents.ts";
import { broadcastOverHeads, HIDDEN } from "./visibility.ts";

/**
 * At most so many chunks are summed by one product with a [K, K] matrix of zeros and ones. More are divided into
 * blocks, whose sums are added up in the same way.
 */
const MOST_AT_ONCE = 64;

/**
 * For each chunk g, the sum over the run of chunks that ends just before it, h < g with label(h) = label(g - 1), or
 * over the run that begins just after it, h > g with label(h) = label(g + 1). A label is the segment ID of a chunk's
 * first or last token, never 0; equal labels are contiguous. x [B, H, G, n], labels [B, G] -> [B, H, G, n].
 */
export function neighbourSums(x: Tensor, labels: Tensor, side: Side, atOnce = MOST_AT_ONCE): Tensor {
  const [B, H, G, n] = x.shape;
  const N = Math.ceil(G / atOnce); // blocks of K chunks
  const K = Math.ceil(G / N);
  const blocks = x.pad(2, 0, N * K - G).reshape([B, H, N, K, n]);
  const padded = labels.pad(1, 0, N * K - G);
  const neighbourLabels = neighbours(padded, side);
  const ownLabels = padded.reshape([B, 1, N, 1, K]);
  const wanted = neighbourLabels.reshape([B, 1, N, K, 1]);
  const inside = wanted.equal(ownLabels).cast("float32").mul(onOneSide(K, side)).matmul(blocks); // [B, H, N, K, n]
  if (N === 1) return inside.reshape([B, H, G, n]);

  // The sum of the run at a block's edge goes to the next block on that side, to its chunks that the run reaches.
  const edge = (t: Tensor, far: boolean) => (far === (side === "before") ? t.slice(-1, K - 1, K) : t.slice(-1, 0, 1));
  const edgeLabels = edge(ownLabels, true); // [B, 1, N, 1, 1]
  const totals = edgeLabels.equal(ownLabels).cast("float32").matmul(blocks).reshape([B, H, N, n]);
  const outside = neighbourSums(totals, edgeLabels.reshape([B, N]), side, atOnce).reshape([B, H, N, 1, n]);
  const near = edge(neighbourLabels.reshape([B, 1, N, 1, K]), false);
  const reached = wanted.equal(near).cast("float32"); // [B, 1, N, K, 1]
  return inside
    .add(reached.matmul(outside))
    .reshape([B, H, N * K, n])
    .slice(2, 0, G);
}

export interface LinearInputs {
  /** [B, …, G, C, s] */
  readonly q: Tensor;
  /** [B, …, G, s, C]: keys, transposed. */
  readonly k: Tensor;
  /** [B, …, G, C, n]; zeros after the last token. */
  readonly v: Tensor;
}

/**
 * Attention of queries to their own document in the chunks before their own and, unless causal, after it:
 * [B, …, G, C, n]; undefined when there is only one chunk.
 */
export function acrossDocuments(
  { q, k, v }: LinearInputs,
  documents: ChunkDocuments,
  causal: boolean,
): Tensor | undefined {
  const { first, last, inFirst, inLast, fromPrevious, intoNext } = documents;
  const [B, G, C] = inFirst.shape;
  if (G === 1) return undefined;
  // Keys and values count where `counted` [B, G, C] is 1; queries attend where `seeing` [B, G, C] is 1.
  const attended = (side: Side, counted: Tensor, labels: Tensor, seeing: Tensor) => {
    const sums = k.mul(broadcastOverHeads(counted.reshape([B, G, 1, C]), k.rank)).matmul(v); // [B, …, G, s, n]
    const [s, n] = sums.shape.slice(-2);
    const memory = neighbourSums(sums.reshape([B, -1, G, s * n]), labels, side).reshape(sums.shape);
    return q.mul(broadcastOverHeads(seeing.reshape([B, G, C, 1]), q.rank)).matmul(memory);
  };
  const earlier = attended("before", inLast, last, fromPrevious);
  return causal ? earlier : earlier.add(attended("after", inFirst, first, intoNext));
}

/**
 * For each token the largest value in its document: x [B, H, T], segment IDs [B, T], none 0, -> [B, H, T]. Each step
 * reaches twice as far as the one before.
 */
export function largestInDocuments(x: Tensor, segmentIds: Tensor): Tensor {
  const [B, , T] = x.shape;
  const nothing = x.constant(HIDDEN);
  let largest = x;
  for (let step = 1; step < T; step *= 2) {
    const before = (t: Tensor, axis: number) => t.pad(axis, step, 0).slice(axis, 0, T);
    const after = (t: Tensor, axis: number) => t.pad(axis, 0, step).slice(axis, step, T + step);
    const [left, right] = [before, after].map((moved) =>
      segmentIds.equal(moved(segmentIds, 1)).reshape([B, 1, T]).where(moved(largest, 2), nothing),
    );
    largest = largest.max(left).max(right);
  }
  return largest;
}
