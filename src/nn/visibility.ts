/**
 * Who sees whom: causal or bidirectional, padding, and documents that lie side by side in a window. Attentions get it
 * as something to add to their scores, for the tokens of each chunk or for blocks of queries of the whole square.
 * Symbols: B sequences of T tokens, in G chunks of C.
 */
import { constant, type Tensor } from "../graph/tensor.ts";
import { type ChunkDocuments, type Documents, sameDocument } from "./documents.ts";
import { tokenPositions } from "./positions.ts";

/** Added to a score, it makes the weight exactly 0: after softmax, squared ReLU and Laplace function alike. */
export const HIDDEN = -1e30;

interface VisibilityInputs {
  readonly causal: boolean;
  /** [B, T]: 1 where a token is real, 0 for padding; undefined when all are real. */
  readonly mask?: Tensor | undefined;
  /** Documents of a window that must not see each other; undefined: the window is one document. */
  readonly documents?: Documents | undefined;
}

/** What tokens see of their own chunk. */
export interface ChunkVisibility {
  readonly causal: boolean;
  /**
   * [B or 1, G, C]: 1 where a token is real, 0 for padding and for what fills up the last chunk. Undefined when all are
   * real, and when the others are hidden anyway, since they come later or belong to no document.
   */
  readonly real: Tensor | undefined;
  /** Added to scores [B, G, C, C], it hides the keys that are not real: [B or 1, G, 1, C]. */
  readonly hiddenKeys: Tensor | undefined;
  /** The same for all that is not to be seen: [C, C] or [B or 1, G, 1 or C, C]; undefined when nothing is hidden. */
  readonly hidden: Tensor | undefined;
  /** 0 where something is hidden, else 1; of the same shape. */
  readonly visible: Tensor | undefined;
  readonly documents: ChunkDocuments | undefined;
}

/** The whole square of queries and keys, a block of queries at a time. */
interface SquareVisibility {
  /** What `hidden` is made of: to be handed through recomputation, so that it is made when needed and not kept. */
  readonly sources: readonly Tensor[];
  /**
   * Added to scores [B, R, N] of the queries from `start` to `end` on the first N keys (when causal N = end, else T),
   * it hides what is not to be seen: [R, N] or [B, 1 or R, N]; undefined when nothing is hidden.
   */
  hidden(sources: readonly Tensor[], start: number, end: number): Tensor | undefined;
}

export class Visibility {
  readonly causal: boolean;
  readonly mask: Tensor | undefined;
  readonly documents: Documents | undefined;
  /** All layers share what is made for chunks of one size. */
  readonly #chunks = new Map<string, ChunkVisibility>();

  constructor({ causal, mask, documents }: VisibilityInputs) {
    this.causal = causal;
    this.mask = mask;
    this.documents = documents;
  }

  inChunks(C: number, T: number): ChunkVisibility {
    const key = `${C} ${T}`;
    const found = this.#chunks.get(key) ?? this.#inChunks(C, T);
    this.#chunks.set(key, found);
    return found;
  }

  square(T: number): SquareVisibility {
    const { causal, mask } = this;
    const ids = this.documents?.segmentIds;
    const sources = [...(causal ? [tokenPositions(T)] : []), ...(ids ? [ids] : []), ...(mask ? [mask] : [])];
    return {
      sources,
      hidden(given, start, end) {
        const at = causal ? given[0] : undefined;
        const own = ids && given[Number(causal)];
        const real = mask && given[given.length - 1];
        const N = causal ? end : T;
        const future = at && futureHidden(at.slice(0, start, end)).pad(1, start, 0); // [R, N]
        const others = own ? hiddenAcross(own.slice(1, start, end), own.slice(1, 0, N), future) : future;
        const padding = real && hiddenWhereMasked(real.slice(1, 0, N)).reshape([-1, 1, N]);
        return both(others, padding);
      },
    };
  }

  #inChunks(C: number, T: number): ChunkVisibility {
    const { causal, mask } = this;
    const documents = this.documents?.inChunks(C);
    const G = Math.ceil(T / C);
    const rest = G * C - T;
    const needed = mask !== undefined || !(causal || documents || rest === 0);
    const real = needed ? (mask ?? constant(new Float32Array(T).fill(1), [1, T])).pad(1, 0, rest) : undefined;
    const hiddenKeys = real && hiddenWhereMasked(real).reshape([-1, G, 1, C]);
    const future = causal ? constant(futureOf(C), [C, C]) : undefined;
    const others = documents ? hiddenAcross(documents.segmentIds, documents.segmentIds, future) : future;
    const hidden = both(others, hiddenKeys);
    const visible = hidden?.exp();
    return { causal, real: real?.reshape([-1, G, C]), hiddenKeys, hidden, visible, documents };
  }
}

function both(a: Tensor | undefined, b: Tensor | undefined): Tensor | undefined {
  return a && b ? a.add(b) : (a ?? b);
}

/**
 * t [B, …] with axes of size 1 after the first, so that it broadcasts with tensors of `rank` axes, which have heads
 * there; a matrix, which is the same for all sequences, as it is.
 */
export function besideHeads(t: Tensor, rank: number): Tensor {
  if (t.rank === 2) return t;
  const [B, ...others] = t.shape;
  return t.reshape([B, ...new Array<number>(rank - t.rank).fill(1), ...others]);
}

/** A mask as something to add to scores: 0 where it is 1, HIDDEN where it is 0. */
export function hiddenWhereMasked(mask: Tensor): Tensor {
  return mask.sub(1).mul(-HIDDEN);
}

/**
 * Added to scores [..., R, N], it hides the keys of other documents, by the segment IDs of queries [..., R] and keys
 * [..., N]. Within a document there is 0, or what `within` (of a shape that broadcasts) has.
 */
export function hiddenAcross(queries: Tensor, keys: Tensor, within?: Tensor): Tensor {
  return sameDocument(queries, keys).where(within ?? queries.constant(0), queries.constant(HIDDEN));
}

/** HIDDEN above the diagonal, else 0: [n, n]. */
function futureOf(n: number): Float32Array {
  const data = new Float32Array(n * n);
  for (let i = 0; i < n; i++) data.fill(HIDDEN, i * n + i + 1, (i + 1) * n);
  return data;
}

/** The same for tokens at positions [R], made in the graph, so that no constant grows with T²: [R, R]. */
export function futureHidden(positions: Tensor): Tensor {
  const isFuture = positions.reshape([-1, 1]).less(positions.reshape([1, -1]));
  return isFuture.where(positions.constant(HIDDEN), positions.constant(0));
}
