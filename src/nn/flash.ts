/**
 * FLASH (Hua, Dai, Liu, Le 2022, section 3): a gated attention unit whose attention is mixed chunk attention, at a cost
 * a token that does not depend on the length; or one half of that attention alone (section 4, ablations): local, inside
 * chunks, or global, across them. Two queries and keys are left then of the four, and global has no bias.
 */
import type { Tensor } from "../graph/tensor.ts";
import { scoreScale } from "./attention-functions.ts";
import { inChunks, outOfChunks } from "./chunks.ts";
import { type GatedUnitConfig, gatedUnit } from "./gated-attention-unit.ts";
import type { Layer, LayerInputs, StateEntry, Stepped, Tensors } from "./layer.ts";
import { added } from "./linear-attention.ts";
import { linearScale, mixedChunkAttention, type QueriesKeys } from "./mixed-chunk-attention.ts";
import type { NewTokens } from "./new-tokens.ts";
import { openBiasVectors, openKeyWidth, openSpanAttention } from "./open-span-attention.ts";
import { relativeBias } from "./positions.ts";
import type { Scope } from "./scope.ts";

interface FlashConfig extends GatedUnitConfig {
  /** C: tokens a chunk. */
  readonly chunk: number;
  /** Which half of the attention there is; default: mixed, both. */
  readonly attention?: "mixed" | "local" | "global";
}

export function flash(config: FlashConfig): Layer {
  const { width: d, expanded: e, shared: s, chunk: C, attentionFunction = "relu2" } = config;
  const { attention = "mixed", tokenShift = false } = config;
  const [isQuadratic, isLinear] = [attention !== "global", attention !== "local"];

  /** The quadratic pair, then the linear one, of those that there are. */
  const scalesFor = (linear: number) => [
    ...(isQuadratic ? [scoreScale(attentionFunction, C, s)] : []),
    ...(isLinear ? [linear] : []),
  ];
  const named = (pairs: readonly QueriesKeys[]) => ({
    quadratic: isQuadratic ? pairs[0] : undefined,
    linear: isLinear ? pairs[pairs.length - 1] : undefined,
  });

  /** Any number of tokens; in a text that goes on, whole chunks after closed ones, of which `state` has the sums. */
  function wholeChunks(scope: Scope, x: Tensor, { rotations, visibility }: LayerInputs, state: Tensors = {}): Stepped {
    const T = x.shape[1];
    const scales = scalesFor(linearScale(visibility, C, T));
    const unit = gatedUnit(scope, x, config, { tokens: rotations, scales, visibility, before: state.before });
    const pairs = unit.pairs.map(({ q, k }) => ({ q: inChunks(q, C), k: inChunks(k, C) }));
    const { found, after } = mixedChunkAttention(
      { ...named(pairs), v: inChunks(unit.v, C) },
      visibility.inChunks(C, T),
      {
        attentionFunction,
        bias: isQuadratic ? relativeBias(scope.at("bias"), C, C, s) : undefined,
        before: state.done && { sum: state.done, rest: state.rest },
      },
    );
    return {
      y: unit.output(outOfChunks(found, T)),
      state: {
        ...(after && { done: after.sum, rest: after.rest }),
        ...(unit.own && { before: unit.own.slice(1, T - 1, T) }),
      },
    };
  }

  /** The recurrent form (section 3.3): attention to the open chunk, and one linear query of all chunks before it. */
  function step(scope: Scope, x: Tensor, tokens: NewTokens, { keys, values, done, before }: Tensors): Stepped {
    const bias = scope.at("bias");
    const beside = isQuadratic ? openBiasVectors(bias, C, s) : [];
    const unit = gatedUnit(scope, x, config, { tokens, scales: scalesFor(1 / C), beside, before });
    const { v, own } = unit;
    const { quadratic, linear } = named(unit.pairs);
    const local =
      quadratic && openSpanAttention(bias, { ...unit, ...quadratic }, { keys, values }, tokens, attentionFunction);
    const found = [...(local ? [local.found] : []), ...(linear ? [linear.q.matmul(done)] : [])];
    return {
      y: unit.output(found.reduce((sum, t) => sum.add(t))),
      state: {
        values: v,
        ...(local && { keys: local.keys }),
        ...(linear && { linearKeys: linear.k }),
        ...(own && { before: tokens.last(own, before) }),
      },
    };
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
        // The sum of lkᵀ v over closed chunks, and what rounding took from it.
        ...(isLinear && { linearKeys: rows(s), done: replaced([s, e]), rest: replaced([s, e]) }),
        ...(tokenShift && { before: replaced([1, d / 2]) }),
      },
      step,
      prefill: wholeChunks,
      ...(isLinear && {
        close({ linearKeys, values, done, rest }: Tensors) {
          const { sum, rest: left } = added({ sum: done, rest }, linearKeys.swapLast().matmul(values));
          return { done: sum, rest: left };
        },
      }),
    },
  };
}
