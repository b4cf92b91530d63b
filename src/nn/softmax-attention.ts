/**
 * Multi-head softmax attention (Vaswani et al. 2017, section 3.2): the attention of Transformer, Transformer+ (with RoPE)
 * and Transformer++. Its cost grows with the square of T; decoding it keeps all keys and values.
 */
import type { Tensor } from "../graph/tensor.ts";
import { softmaxMatmul } from "./attention-functions.ts";
import type { Layer, LayerInputs, StateEntry, Stepped, Tensors } from "./layer.ts";
import { attentionOut, headProjections, type MultiHeadConfig, softmaxAfter } from "./multi-head.ts";
import type { NewTokens } from "./new-tokens.ts";
import type { AngleTable } from "./positions.ts";
import { inQueryBlocks } from "./query-blocks.ts";
import type { Scope } from "./scope.ts";

interface SoftmaxAttentionConfig extends MultiHeadConfig {
  /** Whether queries and keys have rotary positions. */
  readonly rotary: boolean;
}

/** Tokens for which a text has room at first. */
const FIRST_TOKENS = 256;

export function softmaxAttention({ width, heads, rotary }: SoftmaxAttentionConfig): Layer {
  const w = width / heads;
  const inHeads = (scope: Scope, x: Tensor, rotations: AngleTable) =>
    headProjections(scope, x, { heads, rotations: rotary ? rotations : undefined, scale: 1 / Math.sqrt(w) });

  /** With `recompute` the weights of one block of queries of one head exist at a time in the backward pass. */
  function forward(scope: Scope, x: Tensor, { rotations, visibility, recompute = false }: LayerInputs): Tensor {
    const { q, k, v } = inHeads(scope, x, rotations);
    const apart = recompute ? [q, k, v].map((t) => t.split(1, new Array<number>(heads).fill(1))) : [[q], [k], [v]];
    const sets = apart[0].map((_, h) => ({ q: apart[0][h], k: apart[1][h], v: apart[2][h] }));
    const [first, ...rest] = inQueryBlocks(sets, { visibility, recompute }, ({ queries, keys, values, hidden }) => {
      const scores = queries.matmul(keys); // [B, H, R, N]
      return softmaxMatmul(hidden ? scores.add(hidden) : scores, values);
    });
    return attentionOut(scope, first.concat(rest, 1));
  }

  function step(scope: Scope, x: Tensor, tokens: NewTokens, { keys, values }: Tensors): Stepped {
    const own = inHeads(scope, x, tokens.rotations);
    const stored = { keys, values, hidden: tokens.hiddenTokenRows(keys.shape[keys.rank - 2]) };
    return {
      y: attentionOut(scope, softmaxAfter(own, [stored], tokens)),
      state: { keys: own.k, values: own.v },
    };
  }

  const rows: StateEntry = { shape: [heads, FIRST_TOKENS, w], change: "token-rows", initial: 0 };
  return { forward, recurrence: { span: Number.POSITIVE_INFINITY, state: { keys: rows, values: rows }, step } };
}
