/**
 * What the multi-head attentions share (Vaswani et al. 2017, section 3.2.2): projections of one normalised input to
 * queries, keys and values of all heads, the projection back into the residual stream, and softmax attention to rows of
 * a state.
 * Symbols: B sequences, T tokens (in a step P new ones), d model width, H heads, w = d / H head width. In a step of a
 * single text no tensor has the axis B.
 */
import type { Tensor } from "../graph/tensor.ts";
import { hasFewRows, linear, linearMaps, linearParameters, timesTransposed, type WeightStart } from "./linear.ts";
import type { NewTokens, RowKind } from "./new-tokens.ts";
import { type AngleTable, rope } from "./positions.ts";
import type { QueriesKeysValues } from "./query-blocks.ts";
import type { Scope } from "./scope.ts";
import { broadcastOverHeads } from "./visibility.ts";

export interface MultiHeadConfig {
  /** d */
  readonly width: number;
  /** H; divides the width. */
  readonly heads: number;
  /** Where the map back into the residual stream starts; default: normal. */
  readonly outputMaps?: WeightStart | undefined;
}

export interface ChunkedHeadsConfig extends MultiHeadConfig {
  /** C: tokens per chunk. */
  readonly chunk: number;
}

/** Queries, keys and values [B, T, d] each, before the heads are split; the queries times `scale`. */
export function projections(scope: Scope, x: Tensor, scale = 1): readonly Tensor[] {
  const d = x.shape[x.rank - 1];
  const times = (t: Tensor) => (scale === 1 ? t : t.mul(scale));
  const [query, ...others] = ["query", "key", "value"].map((name) => linearParameters(scope.at(name), d, d));
  if (hasFewRows(x)) {
    const [q, ...rest] = linearMaps(x, [query, ...others]);
    return [times(q), ...rest];
  }
  const adapters = query.adapters?.map((own) => ({ ...own, scale: scale * own.scale }));
  const scaled = { weight: times(query.weight), bias: times(query.bias), ...(adapters && { adapters }) };
  return linearMaps(x, [scaled, ...others]);
}

interface HeadOptions {
  readonly heads: number;
  /** RoPE angles of queries and keys, [T, w / 2] or [B, T, w / 2]; undefined without RoPE. */
  readonly rotations?: AngleTable | undefined;
  /** Multiplies the queries; default: 1. */
  readonly scale?: number;
}

/** x [B, T, d] -> q, k, v [B, H, T, w] */
export function headProjections(scope: Scope, x: Tensor, { heads, rotations, scale }: HeadOptions): QueriesKeysValues {
  const [q, k, v] = projections(scope, x, scale).map((t) => splitHeads(t, heads));
  if (rotations === undefined) return { q, k, v };
  const table = anglesOfHeads(rotations);
  if (!hasFewRows(x)) return { q: rope(q, table), k: rope(k, table), v };
  const [rotatedQ, rotatedK] = rope(q.concat([k], -3), table).split(-3, [heads, heads]);
  return { q: rotatedQ, k: rotatedK, v };
}

/** Angles [T, w / 2] or [B, T, w / 2] in a shape that broadcasts with [B, H, T, w / 2]. */
export function anglesOfHeads({ cos, sin }: AngleTable): AngleTable {
  return { cos: broadcastOverHeads(cos, 4), sin: broadcastOverHeads(sin, 4) };
}

/** [B, T, d] -> [B, H, T, w] */
export function splitHeads(t: Tensor, heads: number): Tensor {
  const batch = t.shape.slice(0, -2);
  const [T, d] = t.shape.slice(-2);
  const w = d / heads;
  return T === 1 ? t.reshape([...batch, heads, 1, w]) : swapHeadsAndTokens(t.reshape([...batch, T, heads, w]));
}

/** Swaps the axes of heads and tokens, the second and third from the end. */
function swapHeadsAndTokens(t: Tensor): Tensor {
  const axes = t.shape.map((_, axis) => axis);
  const [a, b, w] = axes.slice(-3);
  return t.transpose([...axes.slice(0, -3), b, a, w]);
}

/** The results of the heads, [B, H, T, w], concatenated and projected into the residual stream: [B, T, d]. */
export function attentionOut(scope: Scope, attended: Tensor, start?: WeightStart): Tensor {
  const [H, T, w] = attended.shape.slice(-3);
  const joined = T === 1 ? attended : swapHeadsAndTokens(attended);
  return linear(scope.at("attention_out"), joined.reshape([...attended.shape.slice(0, -3), T, H * w]), H * w, start);
}

/** Rows of a state. */
interface StoredRows {
  /** [B, H, n, w]; finite where nothing is written. */
  readonly keys: Tensor;
  readonly values: Tensor;
  readonly kind: RowKind;
}

/**
 * One softmax over rows of a state and the new tokens, causal: q (scaled), k, v [B, H, P, w] -> [B, H, P, w]. Scores
 * are concatenated; keys and values, which are larger, are not copied.
 */
export function softmaxAfter({ q, k, v }: QueriesKeysValues, stored: readonly StoredRows[], tokens: NewTokens): Tensor {
  const entries = stored.map(({ keys, kind }) => ({ kind, n: keys.shape[keys.rank - 2] }));
  const scores = timesTransposed(q, ...stored.map(({ keys }) => keys), k); // [B, H, P, N]
  const hidden = broadcastOverHeads(tokens.hiddenInRows(entries), 4);
  const sizes = [...entries.map(({ n }) => n), tokens.tokens];
  const weights = scores.add(hidden).softmax().split(-1, sizes);
  return [...stored.map(({ values }) => values), v]
    .map((values, i) => weights[i].matmul(values))
    .reduce((sum, t) => sum.add(t));
}
