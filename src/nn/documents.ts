/**
 * Documents that share a window and must not see each other, by segment IDs: where each begins, and which of them cross
 * the borders of chunks. The tokens of a document are contiguous, so only the last document of a chunk can continue in
 * the next chunk, and only the first can have begun in the chunk before.
 * Symbols: B windows of T tokens in G chunks of C.
 */
import { constant, type Tensor } from "../graph/tensor.ts";
import type { AngleTable } from "./positions.ts";

/** The documents of each chunk. After the end of the text the segment ID is 0. */
export interface ChunkDocuments {
  /** [B, G, C] */
  readonly segmentIds: Tensor;
  /** [B, G]: segment ID of each chunk's first and last token. */
  readonly first: Tensor;
  readonly last: Tensor;
  /** [B, G, C]: 1 for the tokens of those documents, else 0. */
  readonly inFirst: Tensor;
  readonly inLast: Tensor;
  /** [B, G, C]: 1 for the tokens whose document began in an earlier chunk, or continues in the next one. */
  readonly fromPrevious: Tensor;
  readonly intoNext: Tensor;
  /** [B, G, C]: 1 / tokens of the document in the window; 0 after the end of the text. */
  readonly inverseLength: Tensor;
}

export class Documents {
  /** [B, T], float32: the number of each token's document in the window, from 1. */
  readonly segmentIds: Tensor;
  /** [B, T], int32: the position of each token in its document, from 0. */
  readonly positions: Tensor;
  /** [B, T], int32: how many tokens each token's document has in the window. */
  readonly lengths: Tensor;

  /** documents [3, B, T] int32: segment IDs, positions and lengths, as data/document-windows.ts makes them. */
  constructor(documents: Tensor) {
    const [, B, T] = documents.shape;
    const [segmentIds, positions, lengths] = documents.split(0, [1, 1, 1]).map((row) => row.reshape([B, T]));
    this.segmentIds = segmentIds.cast("float32");
    this.positions = positions;
    this.lengths = lengths;
  }

  /** [B, T, 1]: 0 for the first token of each document, or of each but the window's first; 1 for all others. */
  afterFirst(butOfFirstDocument = false): Tensor {
    const [B, T] = this.positions.shape;
    const after = this.positions.constant(0).less(this.positions).cast("float32");
    const all = butOfFirstDocument ? after.max(this.segmentIds.equal(1).cast("float32")) : after;
    return all.reshape([B, T, 1]);
  }

  /** Angles [T, half] by the position of each token in its document: [B, T, half]. */
  anglesByPosition({ cos, sin }: AngleTable): AngleTable {
    return { cos: cos.gather(this.positions), sin: sin.gather(this.positions) };
  }

  inChunks(C: number): ChunkDocuments {
    const [B, T] = this.segmentIds.shape;
    const G = Math.ceil(T / C);
    const chunks = (t: Tensor) => t.pad(1, 0, G * C - T).reshape([B, G, C]);
    const segmentIds = chunks(this.segmentIds);
    const first = segmentIds.slice(2, 0, 1).reshape([B, G]);
    const last = segmentIds.slice(2, C - 1, C).reshape([B, G]);
    const isOf = (labels: Tensor) => segmentIds.equal(labels.reshape([B, G, 1])).cast("float32");
    return {
      segmentIds,
      first,
      last,
      inFirst: isOf(first),
      inLast: isOf(last),
      fromPrevious: isOf(neighbours(last, "before")),
      intoNext: isOf(neighbours(first, "after")),
      inverseLength: chunks(this.lengths.cast("float32").reciprocal()),
    };
  }
}

/** Whether queries and keys are of one document, by segment IDs [..., R] and [..., N]: bool [..., R, N]. */
export function sameDocument(queries: Tensor, keys: Tensor): Tensor {
  return queries
    .reshape([...queries.shape, 1])
    .equal(keys.reshape([...keys.shape.slice(0, -1), 1, keys.shape[keys.rank - 1]]));
}

export type Side = "before" | "after";

/**
 * The label [B, G] of each chunk's neighbour on one side: [B, G]. Before the first chunk it is 1, that of the document
 * that may have begun in an earlier window; after the last one 0.
 */
export function neighbours(labels: Tensor, side: Side): Tensor {
  const G = labels.shape[1];
  return side === "before" ? labels.sub(1).pad(1, 1, 0).slice(1, 0, G).add(1) : labels.pad(1, 0, 1).slice(1, 1, G + 1);
}

/** 1 where the column is before the row, or after it: [K, K]. */
export function onOneSide(K: number, side: Side): Tensor {
  const isThere = (row: number, column: number) => (side === "before" ? column < row : column > row);
  return constant(
    Float32Array.from({ length: K * K }, (_, at) => Number(isThere(Math.floor(at / K), at % K))),
    [K, K],
  );
}
