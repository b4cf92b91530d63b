/**
 * The attention of MC-TFM++ (Hua, Dai, Liu, Le 2022, section 4, ablations): multi-head mixed chunk attention
 * (mixed-chunk-attention.ts). Each head has softmax attention inside the chunk and linear attention across chunks; its
 * two pairs of queries and keys come from q and k by per-dimension scale and offset, as in the gated unit.
 */
import type { Tensor } from "../graph/tensor.ts";
import { inChunks, outOfChunks } from "./chunks.ts";
import type { Layer, LayerInputs, StateEntry, Stepped, Tensors } from "./layer.ts";
import { scaleAndShift } from "./linear.ts";
import { closeChunk } from "./linear-attention.ts";
import { linearScale, mixedChunkAttention } from "./mixed-chunk-attention.ts";
import {
  anglesOfHeads,
  attentionOut,
  type ChunkedHeadsConfig,
  projections,
  softmaxAfter,
  splitHeads,
} from "./multi-head.ts";
import type { NewTokens } from "./new-tokens.ts";
import { type AngleTable, type QueriesKeys, rope } from "./positions.ts";
import type { Scope } from "./scope.ts";

export function mixedChunkSoftmaxAttention({ width: d, heads: H, chunk: C }: ChunkedHeadsConfig): Layer {
  const w = d / H;

  /** Queries (scaled) and keys of each half, and values, [B, H, T, w] each. */
  function inHeads(scope: Scope, x: Tensor, rotations: AngleTable, linear: number) {
    const [q, k, v] = projections(scope, x);
    const table = anglesOfHeads(rotations);
    const scales = [1 / Math.sqrt(w), 1, linear, 1];
    const [qq, qk, lq, lk] = affineHeads(scope.at("heads"), [q, k, q, k], H, scales).map((t) =>
      rope(splitHeads(t, H), table),
    );
    return { quadratic: { q: qq, k: qk }, linear: { q: lq, k: lk }, v: splitHeads(v, H) };
  }

  /** Any number of tokens; with the state of a text, whole chunks after those that it has read. */
  function wholeChunks(scope: Scope, x: Tensor, inputs: LayerInputs, state: Tensors = {}): Stepped {
    const { rotations, visibility } = inputs;
    const T = x.shape[1];
    const { quadratic, linear, v } = inHeads(scope, x, rotations, linearScale(visibility, C, T));
    const chunked = ({ q, k }: QueriesKeys) => ({ q: inChunks(q, C), k: inChunks(k, C) });
    const { attended, after } = mixedChunkAttention(
      { quadratic: chunked(quadratic), linear: chunked(linear), v: inChunks(v, C) },
      visibility.inChunks(C, T),
      {
        attentionFunction: "softmax",
        before: state.closedSum && { sum: state.closedSum, compensation: state.compensation },
      },
    );
    return {
      y: attentionOut(scope, outOfChunks(attended, T)),
      state: after ? { closedSum: after.sum, compensation: after.compensation } : {},
    };
  }

  function step(scope: Scope, x: Tensor, tokens: NewTokens, { keys, values, closedSum }: Tensors): Stepped {
    const { quadratic, linear, v } = inHeads(scope, x, tokens.rotations, 1 / C);
    const local = softmaxAfter({ ...quadratic, v }, [{ keys, values, kind: "open-rows" }], tokens);
    return {
      y: attentionOut(scope, local.add(linear.q.matmul(closedSum))),
      state: { keys: quadratic.k, linearKeys: linear.k, values: v },
    };
  }

  const rows: StateEntry = { shape: [H, C, w], change: "open-rows", initial: 0 };
  // closedSum: the sum of (linear keys)ᵀ values over closed chunks.
  const sum: StateEntry = { shape: [H, w, w], change: "replaced", initial: 0 };
  return {
    forward: (scope, x, inputs) => wholeChunks(scope, x, inputs).y,
    recurrence: {
      span: C,
      state: { keys: rows, linearKeys: rows, values: rows, closedSum: sum, compensation: sum },
      step,
      prefill: wholeChunks,
      close: closeChunk,
    },
  };
}

/**
 * Quadratic queries and keys, then linear queries and keys, from q, k, q, k [B, T, d]: scale gamma and offset beta
 * [4, H, w], before the heads are split. Each result is multiplied by its scale, by way of gamma and beta.
 */
function affineHeads(scope: Scope, sources: readonly Tensor[], heads: number, scales: readonly number[]): Tensor[] {
  const d = sources[0].shape[sources[0].rank - 1];
  const rowsOf = (name: string, value: number) =>
    scope
      .parameter(name, [4, heads, d / heads], { constant: value })
      .split(0, [1, 1, 1, 1])
      .map((row, i) => (scales[i] === 1 ? row.reshape([d]) : row.reshape([d]).mul(scales[i])));
  const gammas = rowsOf("gamma", 1);
  const betas = rowsOf("beta", 0);
  return sources.map((source, i) => scaleAndShift(source, gammas[i], betas[i]));
}
