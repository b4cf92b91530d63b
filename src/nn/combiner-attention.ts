/**
 * Combiner with the fixed pattern (Ren et al. 2021, "Combiner: Full Attention Transformer with Sparse Computation Cost",
 * section 4.1): one softmax over the tokens of the own block and one summary of each other block, only of earlier ones
 * when causal. A block's summary key is the element-wise maximum of its keys; its summary value weighs its values by
 * softmax of (maximum of its queries) . keys. Cost per token: C + G scores, G = ceil(T / C) blocks of C tokens. Within
 * documents a block has a summary of its last document, for later blocks, and one of its first, for earlier blocks.
 */
import { constant, type Tensor } from "../graph/tensor.ts";
import { softmaxMatmul } from "./attention-functions.ts";
import { inChunks, outOfChunks } from "./chunks.ts";
import type { ChunkDocuments } from "./documents.ts";
import type { Layer, LayerInputs, StateEntry, Stepped, Tensors } from "./layer.ts";
import { attentionOut, type ChunkedHeadsConfig, headProjections, softmaxAfter } from "./multi-head.ts";
import type { NewTokens } from "./new-tokens.ts";
import { tokenPositions } from "./positions.ts";
import type { QueriesKeysValues } from "./query-blocks.ts";
import type { Scope } from "./scope.ts";
import { besideHeads, type ChunkVisibility, HIDDEN, hiddenAcross, hiddenWhereMasked } from "./visibility.ts";

/** Summaries for which a text has room at first. */
const FIRST_SUMMARIES = 64;

export function combinerAttention({ width, heads: H, chunk: C }: ChunkedHeadsConfig): Layer {
  const w = width / H;
  const options = { heads: H, scale: 1 / Math.sqrt(w) };

  function forward(scope: Scope, x: Tensor, { rotations, visibility }: LayerInputs): Tensor {
    const T = x.shape[1];
    const { q, k, v } = headProjections(scope, x, { ...options, rotations });
    const [qc, kc, vc] = [q, k, v].map((t) => inChunks(t, C)); // [B, H, G, C, w] each
    const found = blockAttention({ q: qc, k: kc, v: vc }, visibility.inChunks(C, T));
    return attentionOut(scope, outOfChunks(found, T));
  }

  function step(scope: Scope, x: Tensor, tokens: NewTokens, state: Tensors): Stepped {
    const { keys, values, summaryKeys, summaryValues, queryPeak } = state;
    const own = headProjections(scope, x, { ...options, rotations: tokens.rotations });
    const stored = [
      { keys, values, hidden: tokens.hiddenOpenRows(C) },
      {
        keys: summaryKeys,
        values: summaryValues,
        hidden: tokens.hiddenSpanRows(summaryKeys.shape[summaryKeys.rank - 2]),
      },
    ];
    const { real } = tokens; // [B, P, 1]
    const queries = real ? own.q.add(besideHeads(hiddenWhereMasked(real), 4)) : own.q;
    return {
      y: attentionOut(scope, softmaxAfter(own, stored, tokens)),
      state: { keys: own.k, values: own.v, queryPeak: queryPeak.max(queries.maximum([-2])) },
    };
  }

  const rows: StateEntry = { shape: [H, C, w], change: "open-rows", initial: 0 };
  const summaryRows: StateEntry = { shape: [H, FIRST_SUMMARIES, w], change: "span-rows", initial: 0 };
  return {
    forward,
    recurrence: {
      span: C,
      state: {
        keys: rows,
        values: rows,
        summaryKeys: summaryRows,
        summaryValues: summaryRows,
        // The element-wise maximum of the open block's queries, of which its summary value is made.
        queryPeak: { shape: [H, 1, w], change: "replaced", initial: HIDDEN },
      },
      step,
      close: ({ keys, values, queryPeak }) => ({
        summaryKeys: keys.maximum([-2]),
        summaryValues: summaryValue(queryPeak, keys, values),
        queryPeak: queryPeak.constant(HIDDEN).expand(queryPeak.shape),
      }),
    },
  };
}

/** queryPeak [..., 1, w], keys and values [..., C, w] of a block -> [..., 1, w]; hidden [..., 1, C] is added to the scores. */
function summaryValue(queryPeak: Tensor, keys: Tensor, values: Tensor, hidden?: Tensor): Tensor {
  const scores = queryPeak.matmul(keys.swapLast()); // [..., 1, C]
  return softmaxMatmul(hidden ? scores.add(hidden) : scores, values);
}

/** q (scaled), k, v [B, H, G, C, w] -> [B, H, G, C, w] */
function blockAttention(blocks: QueriesKeysValues, chunks: ChunkVisibility): Tensor {
  const { q, k, v } = blocks;
  const [B, H, G, C, w] = q.shape;
  const own = chunks.hidden && besideHeads(chunks.hidden, 5); // [C, C] or [B or 1, 1, G, 1 or C, C]
  if (G === 1) {
    // There is no other block to see.
    const scores = q.matmul(k.swapLast());
    return softmaxMatmul(own ? scores.add(own) : scores, v);
  }
  const others = chunks.documents
    ? summariesOfDocuments(blocks, chunks, chunks.documents)
    : summariesOfBlocks(blocks, chunks);
  const batch = Math.max(...[own, others.hidden].map((t) => (t?.rank === 5 ? t.shape[0] : 1)));
  const hidden = (own ?? q.zeros([C, C]))
    .expand([batch, 1, G, C, C])
    .concat([others.hidden.expand([batch, 1, G, C, G])], 4);
  const beside = (rows: Tensor, summary: Tensor) => rows.concat([summary.expand([B, H, G, G, w])], 3);
  const scores = q.matmul(beside(k, others.keys).swapLast()).add(hidden); // [B, H, G, C, C + G]
  return softmaxMatmul(scores, beside(v, others.values));
}

/** What the tokens of each block [G] see of the other blocks [G]. */
interface OtherBlocks {
  /** Summaries, [B, H, 1 or G, G, w]. */
  readonly keys: Tensor;
  readonly values: Tensor;
  /** Added to scores: [G, 1, G] or [B or 1, 1, 1 or G, 1 or C, G]. */
  readonly hidden: Tensor;
}

function summariesOfBlocks(blocks: QueriesKeysValues, { causal, real, hiddenKeys }: ChunkVisibility): OtherBlocks {
  const [B, H, G, , w] = blocks.q.shape;
  const counted = real && hiddenKeys && { real, hidden: hiddenKeys };
  const { key, value } = summaries(blocks, counted);
  const order = otherBlocks(G, causal);
  const emptyBlocks = real && hiddenWhereMasked(real.maximum([2])).reshape([-1, 1, 1, 1, G]);
  const [keys, values] = [key, value].map((t) => t.reshape([B, H, 1, G, w]));
  return { keys, values, hidden: emptyBlocks ? emptyBlocks.add(order) : order };
}

/** Of each block the last document for later blocks, the first for earlier ones; none sees another's. */
function summariesOfDocuments(
  blocks: QueriesKeysValues,
  { causal, real }: ChunkVisibility,
  documents: ChunkDocuments,
): OtherBlocks {
  const [B, H, G, C, w] = blocks.q.shape;
  const ofDocument = (tokens: Tensor, ids: Tensor) => {
    const counted = real ? tokens.mul(real) : tokens; // [B, G, C]
    const hidden = hiddenWhereMasked(counted).reshape([B, G, 1, C]);
    // No token has segment ID 0: what is made of padding alone is not seen.
    const id = real ? ids.mul(counted.maximum([2]).reshape([B, G])) : ids;
    return { ...summaries(blocks, { real: counted, hidden }), id: id.reshape([B, 1, G]) };
  };
  const last = ofDocument(documents.inLast, documents.last);
  const first = causal ? last : ofDocument(documents.inFirst, documents.first);
  const positions = tokenPositions(G);
  const isEarlier = positions.reshape([1, G]).less(positions.reshape([G, 1])); // of a query's block [G], another block [G]
  const chosen = (ofLast: Tensor, ofFirst: Tensor) => {
    const [a, b] = [ofLast, ofFirst].map((t) => t.reshape([B, H, 1, G, w]));
    return causal ? a : isEarlier.reshape([G, G, 1]).where(a, b);
  };
  const ids = isEarlier.where(last.id, first.id); // [B, G, G]
  const hidden = hiddenAcross(documents.segmentIds, ids, otherBlocks(G, causal)); // [B, G, C, G]
  return {
    keys: chosen(last.key, first.key),
    values: chosen(last.value, first.value),
    hidden: besideHeads(hidden, 5),
  };
}

/**
 * Summary keys and values [B, H, G, 1, w] of what counts in each block: where real [B or 1, G, C] is 1, hidden
 * [B or 1, G, 1, C] 0; of all without these. Of a block of which nothing counts they are finite, no more.
 */
function summaries(
  { q, k, v }: QueriesKeysValues,
  counted?: { readonly real: Tensor; readonly hidden: Tensor },
): { readonly key: Tensor; readonly value: Tensor } {
  if (!counted) return { key: k.maximum([3]), value: summaryValue(q.maximum([3]), k, v) };
  const [, G, C] = counted.real.shape;
  const hiddenRows = counted.hidden.reshape([-1, 1, G, C, 1]);
  const some = counted.real.maximum([2]).reshape([-1, 1, G, 1, 1]); // 0 where nothing counts
  const largest = (t: Tensor) => t.add(hiddenRows).maximum([3]).mul(some);
  return { key: largest(k), value: summaryValue(largest(q), k, v, besideHeads(counted.hidden, 5)) };
}

/** HIDDEN where a query's block [G] must not see a block's summary [G]: its own, and when causal later ones; [G, 1, G]. */
function otherBlocks(G: number, causal: boolean): Tensor {
  const hidden = Float32Array.from({ length: G * G }, (_, at) => {
    const [own, other] = [Math.floor(at / G), at % G];
    return other === own || (causal && other > own) ? HIDDEN : 0;
  });
  return constant(hidden, [G, 1, G]);
}
