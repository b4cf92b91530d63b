/**
 * Multi-head softmax attention (Vaswani et al. 2017, section 3.2): the attention of Transformer, and with RoPE of
 * Transformer+ and Transformer++. Its cost grows with the square of T; decoding keeps all keys and values.
 */
import { concat, type Tensor } from "../graph/tensor.ts";
import { softmaxMatmul } from "./attention-functions.ts";
import type { Layer, LayerInputs, StateEntry, Stepped, Tensors } from "./layer.ts";
import { attentionOut, headProjections, type MultiHeadConfig, softmaxAfter } from "./multi-head.ts";
import type { NewTokens } from "./new-tokens.ts";
import type { AngleTable } from "./positions.ts";
import { inQueryBlocks } from "./query-blocks.ts";
import type { Scope } from "./scope.ts";
import { addOptional } from "./visibility.ts";

interface SoftmaxAttentionConfig extends MultiHeadConfig {
  /** Whether queries and keys are rotated to their positions (RoPE). */
  readonly rotary: boolean;
}

/** Rows of a new text's state for tokens; there are more when they are needed. */
const FIRST_TOKENS = 256;

export function softmaxAttention({ width, heads, rotary, outputMaps }: SoftmaxAttentionConfig): Layer {
  const w = width / heads;
  const inHeads = (scope: Scope, x: Tensor, rotations: AngleTable) =>
    headProjections(scope, x, { heads, rotations: rotary ? rotations : undefined, scale: 1 / Math.sqrt(w) });

  /** With `recompute`, the weights of one block of queries of one head exist at a time, in the backward pass too. */
  function forward(scope: Scope, x: Tensor, inputs: LayerInputs): Tensor {
    const { rotations, visibility, recompute = false, observe } = inputs;
    const { q, k, v } = inHeads(scope, x, rotations);
    const [qs, ks, vs] = [q, k, v].map((t) => (recompute ? t.split(1, new Array<number>(heads).fill(1)) : [t]));
    const separate = qs.map((_, h) => ({ q: qs[h], k: ks[h], v: vs[h] }));
    const options = { visibility, recompute, whole: observe !== undefined };
    const ofHeads = inQueryBlocks(separate, options, ({ queries, keys, values, hidden }) => {
      const scores = addOptional(queries.matmul(keys.swapLast()), hidden); // [B, H, R, N]
      const local = softmaxMatmul(scores, values);
      observe?.({ weights: scores.softmax(), local });
      return local;
    });
    return attentionOut(scope, concat(ofHeads, 1), outputMaps);
  }

  function step(scope: Scope, x: Tensor, tokens: NewTokens, { keys, values }: Tensors): Stepped {
    const heads = inHeads(scope, x, tokens.rotations);
    return {
      y: attentionOut(scope, softmaxAfter(heads, [{ keys, values, kind: "token-rows" }], tokens), outputMaps),
      state: { keys: heads.k, values: heads.v },
    };
  }

  const rows: StateEntry = { shape: [heads, FIRST_TOKENS, w], change: "token-rows", initial: 0 };
  return { forward, recurrence: { span: Number.POSITIVE_INFINITY, state: { keys: rows, values: rows }, step } };
}
