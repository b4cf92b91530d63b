/**
 * Linear attention within documents: the sums over the chunks before and after one's own that hold no other document's
 * tokens. Since the tokens of a document lie in a row, each chunk adds to later ones what its last document has in it,
 * to earlier ones what its first has, and a sum runs as long as that document does. Cost and memory per token do not
 * depend on the length, nothing is subtracted, and no number of one document is ever multiplied into another but by 0.
 * Symbols: B windows, H heads, G chunks of C tokens, s width of queries and keys, n of values.
 */
import type { Tensor } from "../graph/tensor.ts";
import { constant } from "../graph/tensor.ts";
import { type ChunkDocuments, neighbours, type Side } from "./documents.ts";
import { besideHeads, HIDDEN } from "./visibility.ts";

/**
 * Chunks that are summed by one product of a [K, K] matrix of zeros and ones. More than these are taken in blocks,
 * whose sums are taken in the same way.
 */
const MOST_AT_ONCE = 64;

/**
 * For each chunk g, the sum over the run of chunks that ends before it, h < g with label(h) = label(g - 1), or of the
 * run that begins after it, h > g with label(h) = label(g + 1). A label is the segment ID of a chunk's first or last
 * token; equal ones lie in a row. x [B, H, G, n], labels [B, G], none 0, -> [B, H, G, n].
 */
export function neighbourSums(x: Tensor, labels: Tensor, side: Side, atOnce = MOST_AT_ONCE): Tensor {
  const [B, H, G, n] = x.shape;
  const N = Math.ceil(G / atOnce); // blocks of K chunks
  const K = Math.ceil(G / N);
  const blocks = x.pad(2, 0, N * K - G).reshape([B, H, N, K, n]);
  const padded = labels.pad(1, 0, N * K - G);
  const beside = neighbours(padded, side);
  const own = padded.reshape([B, 1, N, 1, K]);
  const wanted = beside.reshape([B, 1, N, K, 1]);
  const inside = wanted.equal(own).cast("float32").mul(onOneSide(K, side)).matmul(blocks); // [B, H, N, K, n]
  if (N === 1) return inside.reshape([B, H, G, n]);

  // The run at a block's edge is one summand for the blocks on that side, in their chunks as far as the run goes on.
  const edge = (t: Tensor, far: boolean) => (far === (side === "before") ? t.slice(-1, K - 1, K) : t.slice(-1, 0, 1));
  const edgeLabels = edge(own, true); // [B, 1, N, 1, 1]
  const totals = edgeLabels.equal(own).cast("float32").matmul(blocks).reshape([B, H, N, n]);
  const outside = neighbourSums(totals, edgeLabels.reshape([B, N]), side, atOnce).reshape([B, H, N, 1, n]);
  const near = edge(beside.reshape([B, 1, N, 1, K]), false);
  const reached = wanted.equal(near).cast("float32"); // [B, 1, N, K, 1]
  return inside
    .add(reached.matmul(outside))
    .reshape([B, H, N * K, n])
    .slice(2, 0, G);
}

/** 1 where a column's chunk comes before its row's, or after it: [K, K]. */
function onOneSide(K: number, side: Side): Tensor {
  const before = (row: number, column: number) => (side === "before" ? column < row : column > row);
  return constant(
    Float32Array.from({ length: K * K }, (_, at) => Number(before(Math.floor(at / K), at % K))),
    [K, K],
  );
}

export interface LinearInputs {
  /** [B, …, G, C, s] */
  readonly q: Tensor;
  /** [B, …, G, s, C]: keys transposed, as every product reads them. */
  readonly k: Tensor;
  /** [B, …, G, C, n]; zero after the last token. */
  readonly v: Tensor;
}

/**
 * What queries find of their documents in the chunks before their own and, unless causal, after it: [B, …, G, C, n].
 * Undefined when there is one chunk alone.
 */
export function acrossDocuments(
  { q, k, v }: LinearInputs,
  documents: ChunkDocuments,
  causal: boolean,
): Tensor | undefined {
  const { first, last, inFirst, inLast, fromBefore, goesOn } = documents;
  const [B, G, C] = inFirst.shape;
  if (G === 1) return undefined;
  // Of each chunk, the sum of kᵀ v over the tokens where `counted` [B, G, C] is 1.
  const found = (side: Side, counted: Tensor, labels: Tensor, seeing: Tensor) => {
    const own = k.mul(besideHeads(counted.reshape([B, G, 1, C]), k.rank)).matmul(v); // [B, …, G, s, n]
    const [s, n] = own.shape.slice(-2);
    const memory = neighbourSums(own.reshape([B, -1, G, s * n]), labels, side).reshape(own.shape);
    return q.mul(besideHeads(seeing.reshape([B, G, C, 1]), q.rank)).matmul(memory);
  };
  const earlier = found("before", inLast, last, fromBefore);
  return causal ? earlier : earlier.add(found("after", inFirst, first, goesOn));
}

/**
 * The largest value of each token's document: x [B, H, T], segment IDs [B, T], none 0, -> [B, H, T]. Each step looks
 * twice as far as the one before.
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
