/**
 * The Transformer block in its pre-norm form (Xiong et al. 2020): x + attention(norm(x)), then x + feed-forward(norm(x)).
 * The frame of all softmax Transformers and of MC-TFM++, Performer and Combiner, which exchange the attention.
 */
import type { Tensor } from "../graph/tensor.ts";
import { type FeedForwardConfig, feedForward } from "./feed-forward.ts";
import { norm } from "./norm.ts";
import type { Scope } from "./scope.ts";

/** x [B, T, d] -> [B, T, d]; `attention` gets the block's scope and the normalised input. */
export function transformerBlock(
  scope: Scope,
  x: Tensor,
  config: FeedForwardConfig,
  attention: (scope: Scope, normal: Tensor) => Tensor,
): Tensor {
  const attended = x.add(attention(scope, norm(scope.at("norm1"), x, "layer")));
  return attended.add(feedForward(scope, norm(scope.at("norm2"), attended, "layer"), config));
}
