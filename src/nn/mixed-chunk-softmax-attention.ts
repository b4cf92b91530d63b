/**
 * The attention of MC-TFM++ (Hua, Dai, Liu, Le 2022, section 4, ablations): multi-head mixed chunk attention
 * (mixed-chunk-attention.ts). Each head has softmax attention inside the chunk and linear attention across chunks; its
 * two pairs of queries and keys come from q and k by per-dimension scale and offset, as in the gated unit.
 */
import type { Tensor } from "../graph/tensor.ts";
import { inChunks, outOfChunks } from "./chunks.ts";
import { closeIntoMean, fixedDecays, type MemoryConfig, memoryState, SUM } from "./distant-memory.ts";
import { type GatedUnitConfig, initialGamma } from "./gated-attention-unit.ts";
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
import type { Initial, Scope } from "./scope.ts";

interface MixedHeadsConfig extends ChunkedHeadsConfig {
  /** What the linear half keeps of other chunks, all but gated; default: the paper's sum. */
  readonly memory?: MemoryConfig;
  /** Where gamma starts; default: ones. */
  readonly gamma?: GatedUnitConfig["gamma"];
}

export function mixedChunkSoftmaxAttention(config: MixedHeadsConfig): Layer {
  const { width: d, heads: H, chunk: C, memory = SUM, gamma, outputMaps } = config;
  const isMean = memory.memory !== "sum";
  const w = d / H;

  const decaysOf = (scope: Scope) => fixedDecays(scope.at("decay"), memory, { chunk: C, shared: w, heads: [H] });

  /** Queries (scaled) and keys of each half, and values, [B, H, T, w] each. */
  function inHeads(scope: Scope, x: Tensor, rotations: AngleTable, linear: number) {
    const [q, k, v] = projections(scope, x);
    const table = anglesOfHeads(rotations);
    const scales = [1 / Math.sqrt(w), 1, linear, 1];
    const [qq, qk, lq, lk] = affineHeads(scope.at("heads"), [q, k, q, k], { heads: H, scales, gamma }).map((t) =>
      rope(splitHeads(t, H), table),
    );
    return { quadratic: { q: qq, k: qk }, linear: { q: lq, k: lk }, v: splitHeads(v, H) };
  }

  /** Any number of tokens; with the state of a text, whole chunks after those that it has read. */
  function wholeChunks(scope: Scope, x: Tensor, inputs: LayerInputs, state: Tensors = {}): Stepped {
    const { rotations, visibility, distant = true, observe } = inputs;
    const T = x.shape[1];
    const { quadratic, linear, v } = inHeads(scope, x, rotations, isMean ? 1 / C : linearScale(visibility, C, T));
    const chunked = ({ q, k }: QueriesKeys) => ({ q: inChunks(q, C), k: inChunks(k, C) });
    const { attended, after } = mixedChunkAttention(
      { quadratic: chunked(quadratic), linear: distant ? chunked(linear) : undefined, v: inChunks(v, C) },
      visibility.inChunks(C, T),
      {
        attentionFunction: "softmax",
        decays: isMean ? decaysOf(scope) : undefined,
        before: state.closedSum || state.mean ? state : undefined,
        observe,
      },
    );
    return {
      y: attentionOut(scope, outOfChunks(attended, T), outputMaps),
      state: after ?? {},
    };
  }

  function step(scope: Scope, x: Tensor, tokens: NewTokens, state: Tensors): Stepped {
    const { keys, values, closedSum, mean } = state;
    const { quadratic, linear, v } = inHeads(scope, x, tokens.rotations, 1 / C);
    const local = softmaxAfter({ ...quadratic, v }, [{ keys, values, kind: "open-rows" }], tokens);
    return {
      y: attentionOut(scope, local.add(linear.q.matmul(mean ?? closedSum)), outputMaps),
      state: { keys: quadratic.k, linearKeys: linear.k, values: v },
    };
  }

  const rows: StateEntry = { shape: [H, C, w], change: "open-rows", initial: 0 };
  return {
    forward: (scope, x, inputs) => wholeChunks(scope, x, inputs).y,
    recurrence: {
      span: C,
      state: { keys: rows, values: rows, ...memoryState(memory, { heads: [H], C, s: w, n: w }) },
      step,
      prefill: wholeChunks,
      close: (scope, state) => (isMean ? closeIntoMean(decaysOf(scope), state) : closeChunk(state)),
    },
  };
}

/**
 * Quadratic queries and keys, then linear queries and keys, from q, k, q, k [B, T, d]: scale gamma and offset beta
 * [4, H, w], before the heads are split. Each result is multiplied by its scale, by way of gamma and beta.
 */
function affineHeads(
  scope: Scope,
  sources: readonly Tensor[],
  {
    heads,
    scales,
    gamma,
  }: { readonly heads: number; readonly scales: readonly number[] } & Pick<MixedHeadsConfig, "gamma">,
): Tensor[] {
  const d = sources[0].shape[sources[0].rank - 1];
  const rowsOf = (name: string, initial: Initial) =>
    scope
      .parameter(name, [4, heads, d / heads], initial)
      .split(0, [1, 1, 1, 1])
      .map((row, i) => (scales[i] === 1 ? row.reshape([d]) : row.reshape([d]).mul(scales[i])));
  const gammas = rowsOf("gamma", initialGamma(gamma));
  const betas = rowsOf("beta", { constant: 0 });
  return sources.map((source, i) => scaleAndShift(source, gammas[i], betas[i]));
}
