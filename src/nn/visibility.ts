/**
 * Who sees whom: causal or bidirectional, padding, and several documents in one window. Attentions add it to their
 * scores, inside each chunk, or for blocks of queries of the whole square.
 * Symbols: B sequences of T tokens, in G chunks of C.
 */
import { constant, type Tensor } from "../graph/tensor.ts";
import { type ChunkDocuments, type Documents, sameDocument } from "./documents.ts";
import { tokenPositions } from "./positions.ts";

/** Added to a score, it makes the weight exactly 0: after softmax, squared ReLU and Laplace function alike. */
export const HIDDEN = -1e30;

/** What there is to see of a window of T tokens. */
export interface WindowInputs {
  /** [B, T]: 1 where a token is real, 0 for padding; undefined when all are real. */
  readonly mask?: Tensor | undefined;
  /** Documents of a window that must not see each other; undefined: the window is one document. */
  readonly documents?: Documents | undefined;
}

interface VisibilityInputs extends WindowInputs {
  readonly causal: boolean;
}

/** What tokens see inside their own chunk. */
export interface ChunkVisibility {
  readonly causal: boolean;
  /**
   * [B or 1, G, C]: 1 where a token is real, 0 for padding and after the end of the last chunk. Undefined when all are
   * real, and when the others are hidden anyway, because they come later or belong to no document.
   */
  readonly real: Tensor | undefined;
  /** [B or 1, G, 1, C]: added to scores [B, G, C, C] to hide keys that are not real. */
  readonly hiddenKeys: Tensor | undefined;
  /** [C, C] or [B or 1, G, 1 or C, C]: added to scores to hide what must not be seen; undefined: nothing hidden. */
  readonly hidden: Tensor | undefined;
  /** 0 where something is hidden, else 1; of the same shape. */
  readonly visible: Tensor | undefined;
  readonly documents: ChunkDocuments | undefined;
}

/** The whole square of queries and keys, a block of queries at a time. */
interface SquareVisibility {
  /** The tensors that `hidden` is computed from: inputs of recomputation, so that it is computed again and not kept. */
  readonly sources: readonly Tensor[];
  /**
   * [R, N] or [B, 1 or R, N]: added to scores [B, R, N] of the queries from `start` to `end` and the first N keys (when
   * causal N = end, else T) to hide what must not be seen; undefined when nothing is hidden.
   */
  hidden(sources: readonly Tensor[], start: number, end: number): Tensor | undefined;
}

export class Visibility {
  readonly causal: boolean;
  readonly mask: Tensor | undefined;
  readonly documents: Documents | undefined;
  /** By size of chunk, shared by all layers. */
  readonly #chunks = new Map<string, ChunkVisibility>();

  constructor({ causal, mask, documents }: VisibilityInputs) {
    this.causal = causal;
    this.mask = mask;
    this.documents = documents;
  }

  inChunks(C: number, T: number): ChunkVisibility {
    const key = `${C} ${T}`;
    const chunks = this.#chunks.get(key) ?? this.#inChunks(C, T);
    this.#chunks.set(key, chunks);
    return chunks;
  }

  square(T: number): SquareVisibility {
    const { causal, mask } = this;
    const ids = this.documents?.segmentIds;
    const sources = [...(causal ? [tokenPositions(T)] : []), ...(ids ? [ids] : []), ...(mask ? [mask] : [])];
    return {
      sources,
      hidden(copies, start, end) {
        const positions = causal ? copies[0] : undefined;
        const segmentIds = ids && copies[Number(causal)];
        const real = mask && copies[copies.length - 1];
        const N = causal ? end : T;
        const future = positions && hiddenFuture(positions.slice(0, start, end)).pad(1, start, 0); // [R, N]
        const others = segmentIds
          ? hiddenAcrossDocuments(segmentIds.slice(1, start, end), segmentIds.slice(1, 0, N), future)
          : future;
        const padding = real && hiddenWhereZero(real.slice(1, 0, N)).reshape([-1, 1, N]);
        return addOptional(others, padding);
      },
    };
  }

  #inChunks(C: number, T: number): ChunkVisibility {
    const { causal, mask } = this;
    const documents = this.documents?.inChunks(C);
    const G = Math.ceil(T / C);
    const missing = G * C - T; // tokens of the last chunk
    const needed = mask !== undefined || !(causal || documents || missing === 0);
    const real = needed ? (mask ?? constant(new Float32Array(T).fill(1), [1, T])).pad(1, 0, missing) : undefined;
    const hiddenKeys = real && hiddenWhereZero(real).reshape([-1, G, 1, C]);
    const future = causal ? constant(futureOf(C), [C, C]) : undefined;
    const others = documents ? hiddenAcrossDocuments(documents.segmentIds, documents.segmentIds, future) : future;
    const hidden = addOptional(others, hiddenKeys);
    const visible = hidden?.exp();
    return { causal, real: real?.reshape([-1, G, C]), hiddenKeys, hidden, visible, documents };
  }
}

/** a + b of those that there are. */
export function addOptional(a: Tensor, b: Tensor | undefined): Tensor;
export function addOptional(a: Tensor | undefined, b: Tensor | undefined): Tensor | undefined;
export function addOptional(a: Tensor | undefined, b: Tensor | undefined): Tensor | undefined {
  return a && b ? a.add(b) : (a ?? b);
}

/**
 * t [B, …] with axes of size 1 after the first, to broadcast with tensors of `rank` axes, whose second axis is heads.
 * A matrix is the same for all sequences and stays as it is.
 */
export function broadcastOverHeads(t: Tensor, rank: number): Tensor {
  if (t.rank === 2) return t;
  const [B, ...others] = t.shape;
  return t.reshape([B, ...new Array<number>(rank - t.rank).fill(1), ...others]);
}

/** Ones and zeros as something to add to scores: 0 where there is 1, HIDDEN where there is 0. */
export function hiddenWhereZero(mask: Tensor): Tensor {
  return mask.sub(1).mul(-HIDDEN);
}

/**
 * [..., R, N], added to scores to hide keys of other documents, from the segment IDs of queries [..., R] and keys
 * [..., N]: HIDDEN between documents; within one 0, or the value of `within`, of a shape that broadcasts.
 */
export function hiddenAcrossDocuments(queries: Tensor, keys: Tensor, within?: Tensor): Tensor {
  return sameDocument(queries, keys).where(within ?? queries.constant(0), queries.constant(HIDDEN));
}

/** HIDDEN above the diagonal, else 0: [n, n]. */
function futureOf(n: number): Float32Array {
  const data = new Float32Array(n * n);
  for (let i = 0; i < n; i++) data.fill(HIDDEN, i * n + i + 1, (i + 1) * n);
  return data;
}

/** The same for tokens at positions [R], computed in the graph so that no constant grows with T²: [R, R]. */
export function hiddenFuture(positions: Tensor): Tensor {
  const isFuture = positions.reshape([-1, 1]).less(positions.reshape([1, -1]));
  return isFuture.where(positions.constant(HIDDEN), positions.constant(0));
}
