/**
 * Documents that lie side by side in a window and must not see each other: where each begins, and what hides one from
 * another. The tokens of a document lie in a row, so of a chunk only the document at its end goes on in the next chunk, and
 * only the one at its beginning comes from the chunk before. Symbols: B sequences of T tokens in G chunks of C.
 */
import type { Tensor } from "../graph/tensor.ts";
import { type AngleTable, causalBias } from "./positions.ts";

/** Documents as the chunks of an attention see them. Places after the last token belong to document 0. */
export interface ChunkDocuments {
  /** [B, G, C]: number of each token's document. */
  readonly numbers: Tensor;
  /** [B, G]: number of the document of each chunk's first and of its last token. */
  readonly first: Tensor;
  readonly last: Tensor;
  /** [B, G, C]: 1 for the tokens of those documents, else 0. */
  readonly inFirst: Tensor;
  readonly inLast: Tensor;
  /** [B, G, C]: 1 for the tokens whose document comes from the chunk before, or goes on in the chunk after. */
  readonly fromBefore: Tensor;
  readonly goesOn: Tensor;
  /** [B, G, C]: 1 / tokens of the document in the window; 0 after the last token. */
  readonly share: Tensor;
  /** [B, G, C, C]: 1 where a query's row and a key's column are of one document, else 0; when causal, 0 in the future. */
  visible(causal: boolean): Tensor;
  /** The same as something to add to scores: 0 and -1e30. */
  hidden(causal: boolean): Tensor;
}

export class Documents {
  /** [B, T], float32: number of each token's document in the window, from 1 on. */
  readonly numbers: Tensor;
  /** [B, T], int32: place of each token in its document, from 0 on. */
  readonly places: Tensor;
  /** [B, T], int32: tokens of each token's document in the window. */
  readonly lengths: Tensor;
  /** All layers share what is made for chunks of one size. */
  private readonly made = new Map<number, ChunkDocuments>();

  /** documents [3, B, T] int32: numbers, places and lengths, as data/document-windows.ts makes them. */
  constructor(documents: Tensor) {
    const [, B, T] = documents.shape;
    const [numbers, places, lengths] = documents.split(0, [1, 1, 1]).map((row) => row.reshape([B, T]));
    this.numbers = numbers.cast("float32");
    this.places = places;
    this.lengths = lengths;
  }

  /** [B, T, 1]: 0 for the first token of each document, 1 for all others. */
  afterFirst(): Tensor {
    const [B, T] = this.places.shape;
    return this.places.constant(0).less(this.places).cast("float32").reshape([B, T, 1]);
  }

  /** Rows of a table [T, n] by the place of each token in its document: [B, T, n]. */
  byPlace(table: Tensor): Tensor {
    return table.gather(this.places);
  }

  /** Angles [T, half] by the place of each token in its document: [B, T, half]. */
  anglesByPlace({ cos, sin }: AngleTable): AngleTable {
    return { cos: this.byPlace(cos), sin: this.byPlace(sin) };
  }

  inChunks(C: number): ChunkDocuments {
    const found = this.made.get(C) ?? chunkDocuments(this, C);
    this.made.set(C, found);
    return found;
  }
}

/** Added to a score, it makes the weight 0: after squared ReLU, softmax and Laplace function alike. */
const HIDDEN = -1e30;

/** Whether queries [..., R] and keys [..., N] are of one document: bool [..., R, N]. */
export function sameDocument(queries: Tensor, keys: Tensor): Tensor {
  return queries
    .reshape([...queries.shape, 1])
    .equal(keys.reshape([...keys.shape.slice(0, -1), 1, keys.shape[keys.rank - 1]]));
}

function chunkDocuments({ numbers: all, lengths }: Documents, C: number): ChunkDocuments {
  const [B, T] = all.shape;
  const G = Math.ceil(T / C);
  const chunks = (t: Tensor) => t.pad(1, 0, G * C - T).reshape([B, G, C]);
  const numbers = chunks(all);
  const first = numbers.slice(2, 0, 1).reshape([B, G]);
  const last = numbers.slice(2, C - 1, C).reshape([B, G]);
  const isOf = (labels: Tensor) => numbers.equal(labels.reshape([B, G, 1])).cast("float32");
  const same = sameDocument(numbers, numbers); // [B, G, C, C]
  const orders = (causal: boolean) => (causal ? causalBias(C) : numbers.constant(0));
  const kinds = [false, true].map((causal) => {
    const hidden = same.where(orders(causal), numbers.constant(HIDDEN));
    return { hidden, visible: hidden.exp() };
  });
  return {
    numbers,
    ...{ first, last, inFirst: isOf(first), inLast: isOf(last) },
    fromBefore: isOf(neighbours(last, "before")),
    goesOn: isOf(neighbours(first, "after")),
    share: chunks(lengths.cast("float32").reciprocal()),
    visible: (causal) => kinds[Number(causal)].visible,
    hidden: (causal) => kinds[Number(causal)].hidden,
  };
}

/** Which side of a chunk. */
export type Side = "before" | "after";

/** labels [B, G] of each chunk's neighbour on one side, 0 where it has none: [B, G]. */
export function neighbours(labels: Tensor, side: Side): Tensor {
  const G = labels.shape[1];
  return side === "before" ? labels.pad(1, 1, 0).slice(1, 0, G) : labels.pad(1, 0, 1).slice(1, 1, G + 1);
}
