/**
 * The pre-norm Transformer block (Xiong et al. 2020): x + attention(norm(x)), then x + feed-forward(norm(x)). All
 * Transformers use it, MC-TFM++, Performer and Combiner with an attention of their own.
 */
import type { Tensor } from "../graph/tensor.ts";
import { feedForward } from "./feed-forward.ts";
import type { Layer, Stepped } from "./layer.ts";
import type { WeightStart } from "./linear.ts";
import { norm } from "./norm.ts";
import type { Scope } from "./scope.ts";

interface TransformerBlockConfig {
  /** Applied to the normalised input. The state of the block is that of its attention. */
  readonly attention: Layer;
  /** Inner width of the feed-forward network. */
  readonly ffn: number;
  /** Whether that network is GEGLU. */
  readonly gated: boolean;
  /** Where the network's map back into the residual stream starts; default: normal. */
  readonly outputMaps?: WeightStart | undefined;
}

export function transformerBlock({ attention, ffn, gated, outputMaps }: TransformerBlockConfig): Layer {
  const { recurrence } = attention;
  const prefill = recurrence?.prefill;

  /** Around the attention in any of its forms. */
  function block(scope: Scope, x: Tensor, attend: (normal: Tensor) => Stepped): Stepped {
    const { y, state } = attend(norm(scope.at("norm1"), x, "layer"));
    const attended = x.add(y);
    const normal = norm(scope.at("norm2"), attended, "layer");
    return { y: attended.add(feedForward(scope, normal, { inner: ffn, gated, outputMaps })), state };
  }

  return {
    forward: (scope, x, inputs) =>
      block(scope, x, (normal) => ({ y: attention.forward(scope, normal, inputs), state: {} })).y,
    recurrence: recurrence && {
      ...recurrence,
      step: (scope, x, tokens, state) => block(scope, x, (normal) => recurrence.step(scope, normal, tokens, state)),
      ...(prefill && {
        prefill: (scope, x, inputs, state) => block(scope, x, (normal) => prefill(scope, normal, inputs, state)),
      }),
    },
  };
}
