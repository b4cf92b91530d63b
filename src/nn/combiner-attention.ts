/**
 * Combiner with the fixed pattern (Ren et al. 2021, "Combiner: Full Attention Transformer with Sparse Computation
 * Cost", section 4.1): one softmax over the tokens of a query's own block and a summary of each other block (of earlier
 * blocks when causal). A block's summary key is the element-wise maximum of its keys; its summary value is the mean of
 * its values with weights softmax((maximum of its queries) . keys). Cost per token: C + G scores, G = ceil(T / C)
 * blocks of C tokens. Within documents a block has a summary of its last document, which later blocks see, and one of
 * its first, which earlier blocks see.
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
import {
  addOptional,
  broadcastOverHeads,
  type ChunkVisibility,
  HIDDEN,
  hiddenAcrossDocuments,
  hiddenWhereZero,
} from "./visibility.ts";

/** Rows of a new text's state for summaries; there are more when they are needed. */
const FIRST_SUMMARIES = 64;

export function combinerAttention({ width, heads: H, chunk: C, outputMaps }: ChunkedHeadsConfig): Layer {
  const w = width / H;
  const options = { heads: H, scale: 1 / Math.sqrt(w) };

  function forward(scope: Scope, x: Tensor, { rotations, visibility }: LayerInputs): Tensor {
    const T = x.shape[1];
    const { q, k, v } = headProjections(scope, x, { ...options, rotations });
    const [qc, kc, vc] = [q, k, v].map((t) => inChunks(t, C)); // [B, H, G, C, w] each
    const attended = blockAttention({ q: qc, k: kc, v: vc }, visibility.inChunks(C, T));
    return attentionOut(scope, outOfChunks(attended, T), outputMaps);
  }

  function step(scope: Scope, x: Tensor, tokens: NewTokens, state: Tensors): Stepped {
    const { keys, values, summaryKeys, summaryValues, queryPeak } = state;
    const heads = headProjections(scope, x, { ...options, rotations: tokens.rotations });
    const stored = [
      { keys, values, kind: "open-rows" },
      { keys: summaryKeys, values: summaryValues, kind: "span-rows" },
    ] as const;
    const { real } = tokens; // [B, P, 1]
    const queries = addOptional(heads.q, real && broadcastOverHeads(hiddenWhereZero(real), 4));
    return {
      y: attentionOut(scope, softmaxAfter(heads, stored, tokens), outputMaps),
      state: { keys: heads.k, values: heads.v, queryPeak: queryPeak.max(queries.maximum([-2])) },
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
        // The element-wise maximum of the open block's queries, for its summary value.
        queryPeak: { shape: [H, 1, w], change: "replaced", initial: HIDDEN },
      },
      step,
      close: (_, { keys, values, queryPeak }) => ({
        summaryKeys: keys.maximum([-2]),
        summaryValues: summaryValue(queryPeak, keys, values),
        queryPeak: queryPeak.constant(HIDDEN).expand(queryPeak.shape),
      }),
    },
  };
}

/** queryPeak [..., 1, w], keys, values [..., C, w] -> [..., 1, w]; hidden [..., 1, C] is added to scores. */
function summaryValue(queryPeak: Tensor, keys: Tensor, values: Tensor, hidden?: Tensor): Tensor {
  const scores = queryPeak.matmul(keys.swapLast()); // [..., 1, C]
  return softmaxMatmul(addOptional(scores, hidden), values);
}

/** q (scaled), k, v [B, H, G, C, w] -> [B, H, G, C, w] */
function blockAttention(blocks: QueriesKeysValues, chunks: ChunkVisibility): Tensor {
  const { q, k, v } = blocks;
  const [B, H, G, C, w] = q.shape;
  const ownHidden = chunks.hidden && broadcastOverHeads(chunks.hidden, 5); // [C, C] or [B or 1, 1, G, 1 or C, C]
  if (G === 1) return softmaxMatmul(addOptional(q.matmul(k.swapLast()), ownHidden), v); // there is no other block
  const others = chunks.documents
    ? summariesOfDocuments(blocks, chunks, chunks.documents)
    : summariesOfBlocks(blocks, chunks);
  const batch = Math.max(...[ownHidden, others.hidden].map((t) => (t?.rank === 5 ? t.shape[0] : 1)));
  const hidden = (ownHidden ?? q.zeros([C, C]))
    .expand([batch, 1, G, C, C])
    .concat([others.hidden.expand([batch, 1, G, C, G])], 4);
  const withSummaries = (rows: Tensor, summary: Tensor) => rows.concat([summary.expand([B, H, G, G, w])], 3);
  const scores = q.matmul(withSummaries(k, others.keys).swapLast()).add(hidden); // [B, H, G, C, C + G]
  return softmaxMatmul(scores, withSummaries(v, others.values));
}

/** The summaries that the tokens of each block can see. */
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
  const emptyBlocks = real && hiddenWhereZero(real.maximum([2])).reshape([-1, 1, 1, 1, G]);
  const [keys, values] = [key, value].map((t) => t.reshape([B, H, 1, G, w]));
  return { keys, values, hidden: addOptional(order, emptyBlocks) };
}

/** Of each block its last document for later blocks and its first for earlier ones; no document sees another. */
function summariesOfDocuments(
  blocks: QueriesKeysValues,
  { causal, real }: ChunkVisibility,
  documents: ChunkDocuments,
): OtherBlocks {
  const [B, H, G, C, w] = blocks.q.shape;
  const ofDocument = (tokens: Tensor, ids: Tensor) => {
    const counted = real ? tokens.mul(real) : tokens; // [B, G, C]
    const hidden = hiddenWhereZero(counted).reshape([B, G, 1, C]);
    // No token has segment ID 0, so a summary of padding alone is seen by none.
    const id = real ? ids.mul(counted.maximum([2]).reshape([B, G])) : ids;
    return { ...summaries(blocks, { real: counted, hidden }), id: id.reshape([B, 1, G]) };
  };
  const last = ofDocument(documents.inLast, documents.last);
  const first = causal ? last : ofDocument(documents.inFirst, documents.first);
  const positions = tokenPositions(G);
  const isEarlier = positions.reshape([1, G]).less(positions.reshape([G, 1])); // [G of queries, G of summaries]
  const chosen = (ofLast: Tensor, ofFirst: Tensor) => {
    const [a, b] = [ofLast, ofFirst].map((t) => t.reshape([B, H, 1, G, w]));
    return causal ? a : isEarlier.reshape([G, G, 1]).where(a, b);
  };
  const ids = isEarlier.where(last.id, first.id); // [B, G, G]
  const hidden = hiddenAcrossDocuments(documents.segmentIds, ids, otherBlocks(G, causal)); // [B, G, C, G]
  return {
    keys: chosen(last.key, first.key),
    values: chosen(last.value, first.value),
    hidden: broadcastOverHeads(hidden, 5),
  };
}

/**
 * Summary keys and values [B, H, G, 1, w] of the tokens of each block that count: those where real [B or 1, G, C] is 1
 * and hidden [B or 1, G, 1, C] is 0; all without these. For a block without such a token they are finite and
 * meaningless.
 */
function summaries(
  { q, k, v }: QueriesKeysValues,
  counted?: { readonly real: Tensor; readonly hidden: Tensor },
): { readonly key: Tensor; readonly value: Tensor } {
  if (!counted) return { key: k.maximum([3]), value: summaryValue(q.maximum([3]), k, v) };
  const [, G, C] = counted.real.shape;
  const hiddenRows = counted.hidden.reshape([-1, 1, G, C, 1]);
  const some = counted.real.maximum([2]).reshape([-1, 1, G, 1, 1]); // 0 for a block without a token that counts
  const largest = (t: Tensor) => t.add(hiddenRows).maximum([3]).mul(some);
  return { key: largest(k), value: summaryValue(largest(q), k, v, broadcastOverHeads(counted.hidden, 5)) };
}

/** [G, 1, G]: HIDDEN where a query's block must not see a summary: that of itself and, when causal, of later blocks. */
function otherBlocks(G: number, causal: boolean): Tensor {
  const hidden = Float32Array.from({ length: G * G }, (_, at) => {
    const [query, summary] = [Math.floor(at / G), at % G];
    return summary === query || (causal && summary > query) ? HIDDEN : 0;
  });
  return constant(hidden, [G, 1, G]);
}
