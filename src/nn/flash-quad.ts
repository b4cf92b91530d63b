/**
 * FLASH-Quad (Hua, Dai, Liu, Le 2022, section 2): the gated attention unit with attention over the whole sequence. Its
 * cost grows with the square of the length; decoding keeps keys and values of all tokens.
 */
import { scoreScale } from "./attention-functions.ts";
import { type GatedUnitConfig, gatedUnit } from "./gated-attention-unit.ts";
import type { Layer, StateEntry } from "./layer.ts";
import { openBiasVectors, openKeyWidth, openSpanAttention } from "./open-span-attention.ts";
import { quadraticAttention } from "./quadratic-attention.ts";

interface FlashQuadConfig extends GatedUnitConfig {
  /** n: divides the scores, and is the span of the bias; a constant of the model, not the length of the input. */
  readonly maxLength: number;
}

export function flashQuad(config: FlashQuadConfig): Layer {
  const { width: d, expanded: e, shared: s, maxLength: n, attentionFunction = "relu2", tokenShift = false } = config;
  const scales = [scoreScale(attentionFunction, n, s)];
  const rows = (width: number): StateEntry => ({ shape: [n, width], change: "open-rows", initial: 0 });
  return {
    forward(scope, x, { rotations, visibility, recompute }) {
      const { pairs, v, output } = gatedUnit(scope, x, config, { tokens: rotations, scales, visibility });
      return output(quadraticAttention(scope.at("bias"), { ...pairs[0], v }, config, { visibility, recompute }));
    },
    recurrence: {
      span: Number.POSITIVE_INFINITY,
      state: {
        keys: rows(openKeyWidth(n, s)),
        values: rows(e),
        ...(tokenShift && { previous: { shape: [1, d / 2], change: "replaced", initial: 0 } }),
      },
      step(scope, x, tokens, { keys, values, previous }) {
        const bias = scope.at("bias");
        const unit = gatedUnit(scope, x, config, { tokens, scales, rotated: openBiasVectors(bias, n, s), previous });
        const { pairs, v, forNext, output } = unit;
        const local = openSpanAttention(bias, { ...unit, ...pairs[0] }, { keys, values }, tokens, attentionFunction);
        return {
          y: output(local.attended),
          state: { keys: local.keys, values: v, ...(forNext && { previous: tokens.last(forNext, previous) }) },
        };
      },
    },
  };
}
