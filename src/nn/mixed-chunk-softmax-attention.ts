/**
 * The attention of MC-TFM++ (Hua, Dai, Liu, Le 2022, section 4, ablations): mixed chunk attention (mixed-chunk-attention.ts)
 * inside multi-head softmax attention. Each head keeps softmax attention inside the chunk and adds linear attention across
 * chunks; its two queries and two keys come from q and k by per-dimension scale and offset, as in the gated unit.
 */
import type { Tensor } from "../graph/tensor.ts";
import { inChunks, outOfChunks } from "./chunks.ts";
import type { Layer, LayerInputs, StateEntry, Stepped, Tensors } from "./layer.ts";
import { scaleAndShift } from "./linear.ts";
import { added } from "./linear-attention.ts";
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
import { type AngleTable, rope } from "./positions.ts";
import type { Scope } from "./scope.ts";

export function mixedChunkSoftmaxAttention({ width: d, heads: H, chunk: C }: ChunkedHeadsConfig): Layer {
  const w = d / H;

  /** A pair of queries (scaled) and keys for each half, and values, [B, H, T, w] each. */
  function inHeads(scope: Scope, x: Tensor, rotations: AngleTable, linear: number) {
    const [q, k, v] = projections(scope, x);
    const table = anglesOfHeads(rotations);
    const scales = [1 / Math.sqrt(w), 1, linear, 1];
    const [qq, qk, lq, lk] = affineHeads(scope.at("heads"), [q, k, q, k], H, scales).map((t) =>
      rope(splitHeads(t, H), table),
    );
    return { quadratic: { q: qq, k: qk }, linear: { q: lq, k: lk }, v: splitHeads(v, H) };
  }

  /** Any number of tokens; in a text that goes on, whole chunks after closed ones, of which `state` has the sums. */
  function wholeChunks(scope: Scope, x: Tensor, inputs: LayerInputs, { done, rest }: Tensors = {}): Stepped {
    const { rotations, visibility } = inputs;
    const T = x.shape[1];
    const { quadratic, linear, v } = inHeads(scope, x, rotations, linearScale(visibility, C, T));
    const [quadraticChunks, linearChunks] = [quadratic, linear].map(({ q, k }) => ({
      q: inChunks(q, C),
      k: inChunks(k, C),
    }));
    const { found, after } = mixedChunkAttention(
      { quadratic: quadraticChunks, linear: linearChunks, v: inChunks(v, C) },
      visibility.inChunks(C, T),
      { attentionFunction: "softmax", before: done && { sum: done, rest } },
    );
    return {
      y: attentionOut(scope, outOfChunks(found, T)),
      state: after ? { done: after.sum, rest: after.rest } : {},
    };
  }

  function step(scope: Scope, x: Tensor, tokens: NewTokens, { keys, values, done }: Tensors): Stepped {
    const { quadratic, linear, v } = inHeads(scope, x, tokens.rotations, 1 / C);
    const stored = { keys, values, hidden: tokens.hiddenOpenRows(C) };
    const local = softmaxAfter({ ...quadratic, v }, [stored], tokens);
    return {
      y: attentionOut(scope, local.add(linear.q.matmul(done))),
      state: { keys: quadratic.k, linearKeys: linear.k, values: v },
    };
  }

  const rows: StateEntry = { shape: [H, C, w], change: "open-rows", initial: 0 };
  // The sum of lkᵀ v over closed chunks, and what rounding took from it.
  const sum: StateEntry = { shape: [H, w, w], change: "replaced", initial: 0 };
  return {
    forward: (scope, x, inputs) => wholeChunks(scope, x, inputs).y,
    recurrence: {
      span: C,
      state: { keys: rows, linearKeys: rows, values: rows, done: sum, rest: sum },
      step,
      prefill: wholeChunks,
      close({ linearKeys, values, done, rest }) {
        const { sum, rest: left } = added({ sum: done, rest }, linearKeys.swapLast().matmul(values));
        return { done: sum, rest: left };
      },
    },
  };
}

/**
 * Quadratic query and key, linear query and key from q, k, q, k [B, T, d]: gamma and beta [4, H, w], taken while the heads
 * still lie side by side. `scales` multiply each result, at no cost to activations.
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
