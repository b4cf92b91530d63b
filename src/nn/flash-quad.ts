/**
 * FLASH-Quad (Hua, Dai, Liu, Le 2022, section 2): the gated attention unit with attention over the whole sequence. Its
 * cost grows with the square of the length; decoding keeps keys and values of all tokens.
 */
import type { Tensor } from "../graph/tensor.ts";
import { attend, scoreScale, weightsOf } from "./attention-functions.ts";
import { type GatedUnitConfig, gatedUnit } from "./gated-attention-unit.ts";
import type { Layer, LayerInputs, StateEntry } from "./layer.ts";
import { openBiasVectors, openKeyWidth, openSpanAttention } from "./open-span-attention.ts";
import { ROTARY_BIAS_FROM, relativeBias, rotatedBiasVectors, withRotaryBias } from "./positions.ts";
import { inQueryBlocks } from "./query-blocks.ts";
import type { Scope } from "./scope.ts";
import { addOptional } from "./visibility.ts";

interface FlashQuadConfig extends GatedUnitConfig {
  /** n: divides the scores, and is the span of the bias; a constant of the model, not the length of the input. */
  readonly maxLength: number;
}

export function flashQuad(config: FlashQuadConfig): Layer {
  const { width: d, expanded: e, shared: s, maxLength: n, attentionFunction = "relu2", tokenShift = false } = config;
  const scales = [scoreScale(attentionFunction, n, s)];
  const rows = (width: number): StateEntry => ({ shape: [n, width], change: "open-rows", initial: 0 });

  /** With `recompute` and a rotary bias, scores are recomputed in the backward pass, a block of queries at a time. */
  function forward(scope: Scope, x: Tensor, inputs: LayerInputs): Tensor {
    const { rotations, visibility, recompute = false, observe } = inputs;
    const T = x.shape[1];
    const { pairs, v, output } = gatedUnit(scope, x, config, { tokens: rotations, scales, visibility });
    const rotary = n >= ROTARY_BIAS_FROM;
    const bias = scope.at("bias");
    const biased = rotary ? withRotaryBias(pairs[0], rotatedBiasVectors(bias, T, s)) : pairs[0];
    const square = rotary ? undefined : relativeBias(bias, n, T, s);
    const options = { visibility, recompute: recompute && rotary, whole: observe !== undefined };
    const [attended] = inQueryBlocks([{ ...biased, v }], options, ({ queries, keys, values, hidden }) => {
      const scores = queries.matmul(keys.swapLast()); // [B, R, N]
      const [, R, N] = scores.shape;
      const ofBlock = square?.slice(0, N - R, N).slice(1, 0, N); // the R queries are the last of the N tokens
      const biased = addOptional(scores, addOptional(ofBlock, hidden));
      const local = attend(attentionFunction, biased, values);
      observe?.({ weights: weightsOf(attentionFunction, biased), local });
      return local;
    });
    return output(attended);
  }

  return {
    forward,
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
