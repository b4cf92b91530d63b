/**
 * FLASH (Hua, Dai, Liu, Le 2022, section 3): a gated attention unit with mixed chunk attention, whose cost per token
 * does not depend on the length; or with only one half of that attention (section 4, ablations): local, inside chunks,
 * or global, across chunks. Either half alone has one pair of queries and keys instead of two, and global has no bias.
 */
import type { Tensor } from "../graph/tensor.ts";
import { scoreScale } from "./attention-functions.ts";
import { inChunks, outOfChunks } from "./chunks.ts";
import {
  closeIntoMean,
  type Decays,
  fixedDecays,
  gatedDecays,
  type MemoryConfig,
  memoryState,
  SUM,
  tokenRates,
} from "./distant-memory.ts";
import { type GatedUnitConfig, gatedUnit } from "./gated-attention-unit.ts";
import type { Layer, LayerInputs, StateEntry, Stepped, Tensors } from "./layer.ts";
import { closeChunk } from "./linear-attention.ts";
import { linearScale, mixedChunkAttention } from "./mixed-chunk-attention.ts";
import type { NewTokens } from "./new-tokens.ts";
import { openBiasVectors, openKeyWidth, openSpanAttention } from "./open-span-attention.ts";
import { type QueriesKeys, relativeBias } from "./positions.ts";
import type { Scope } from "./scope.ts";

interface FlashConfig extends GatedUnitConfig {
  /** C: tokens per chunk. */
  readonly chunk: number;
  /** Default: mixed, both halves. */
  readonly attention?: "mixed" | "local" | "global";
  /** What the linear half keeps of other chunks; default: the paper's sum. */
  readonly memory?: MemoryConfig;
}

export function flash(config: FlashConfig): Layer {
  const { width: d, expanded: e, shared: s, chunk: C, attentionFunction = "relu2" } = config;
  const { attention = "mixed", tokenShift = false, memory = SUM } = config;
  const [isQuadratic, isLinear] = [attention !== "global", attention !== "local"];

  /** The scales of the quadratic and of the linear queries, where there are such. */
  const scalesFor = (linear: number) => [
    ...(isQuadratic ? [scoreScale(attentionFunction, C, s)] : []),
    ...(isLinear ? [linear] : []),
  ];
  const named = (pairs: readonly QueriesKeys[]) => ({
    quadratic: isQuadratic ? pairs[0] : undefined,
    linear: isLinear ? pairs[pairs.length - 1] : undefined,
  });

  const isMean = isLinear && memory.memory !== "sum";
  const decays = (scope: Scope, rates?: Tensor, real?: Tensor): Decays =>
    rates ? gatedDecays(rates, real) : fixedDecays(scope, memory, { chunk: C, shared: s });
  const decidesByToken = isMean && memory.memory === "gated";

  /** Any number of tokens; with the state of a text, whole chunks after those that it has read. */
  function wholeChunks(scope: Scope, x: Tensor, inputs: LayerInputs, state: Tensors = {}): Stepped {
    const { rotations, visibility, distant = true, observe } = inputs;
    const T = x.shape[1];
    const scales = scalesFor(isMean ? 1 / C : linearScale(visibility, C, T));
    const unit = gatedUnit(scope, x, config, { tokens: rotations, scales, visibility, previous: state.previous });
    const pairs = unit.pairs.map(({ q, k }) => ({ q: inChunks(q, C), k: inChunks(k, C) }));
    const { quadratic, linear } = named(pairs);
    const decayScope = scope.at("decay");
    const rates = decidesByToken ? inChunks(tokenRates(decayScope, memory, unit.z, C), C) : undefined;
    const chunks = visibility.inChunks(C, T);
    const { attended, after } = mixedChunkAttention(
      { quadratic, linear: distant ? linear : undefined, v: inChunks(unit.v, C) },
      chunks,
      {
        attentionFunction,
        bias: isQuadratic ? relativeBias(scope.at("bias"), C, C, s) : undefined,
        decays: isMean ? decays(decayScope, rates, chunks.real) : undefined,
        before: state.closedSum || state.mean ? state : undefined,
        observe,
      },
    );
    return {
      y: unit.output(outOfChunks(attended, T)),
      state: {
        ...after,
        ...(unit.forNext && { previous: unit.forNext.slice(1, T - 1, T) }),
      },
    };
  }

  /** The recurrent form (section 3.3): attention to the open chunk, and linear attention to all chunks before it. */
  function step(scope: Scope, x: Tensor, tokens: NewTokens, state: Tensors): Stepped {
    const { keys, values, closedSum, mean, previous } = state;
    const bias = scope.at("bias");
    const rotated = isQuadratic ? openBiasVectors(bias, C, s) : [];
    const unit = gatedUnit(scope, x, config, { tokens, scales: scalesFor(1 / C), rotated, previous });
    const { v, forNext } = unit;
    const { quadratic, linear } = named(unit.pairs);
    const local =
      quadratic && openSpanAttention(bias, { ...unit, ...quadratic }, { keys, values }, tokens, attentionFunction);
    const halves = [...(local ? [local.attended] : []), ...(linear ? [linear.q.matmul(mean ?? closedSum)] : [])];
    return {
      y: unit.output(halves.reduce((sum, t) => sum.add(t))),
      state: {
        values: v,
        ...(local && { keys: local.keys }),
        ...(linear && { linearKeys: linear.k }),
        ...(decidesByToken && { rates: tokenRates(scope.at("decay"), memory, unit.z, C) }),
        ...(forNext && { previous: tokens.last(forNext, previous) }),
      },
    };
  }

  function close(scope: Scope, state: Tensors): Tensors {
    return isMean ? closeIntoMean(decays(scope.at("decay"), state.rates), state) : closeChunk(state);
  }

  const rows = (width: number): StateEntry => ({ shape: [C, width], change: "open-rows", initial: 0 });
  const replaced = (shape: readonly number[]): StateEntry => ({ shape, change: "replaced", initial: 0 });
  return {
    forward: (scope, x, inputs) => wholeChunks(scope, x, inputs).y,
    recurrence: {
      span: C,
      state: {
        values: rows(e),
        ...(isQuadratic && { keys: rows(openKeyWidth(C, s)) }),
        ...(isLinear && memoryState(memory, { C, s, n: e })),
        ...(tokenShift && { previous: replaced([1, d / 2]) }),
      },
      step,
      prefill: wholeChunks,
      close: isLinear ? close : undefined,
    },
  };
}
