/**
 * The feed-forward half of a Transformer block: GELU (Hendrycks and Gimpel 2016) in Transformer and Transformer+, GEGLU
 * (Shazeer 2020, "GLU Variants Improve Transformer") in the others, with two thirds of the inner width for about the
 * same number of parameters.
 */
import { type Tensor, withGradient } from "../graph/tensor.ts";
import { linear, linearMaps, linearParameters, type WeightStart } from "./linear.ts";
import type { Scope } from "./scope.ts";

interface FeedForwardConfig {
  /** Width between the two linear maps. */
  readonly inner: number;
  /** Whether the inner features are multiplied by a second linear map of the input (GEGLU). */
  readonly gated: boolean;
  /** Where the second map starts; default: normal. */
  readonly outputMaps?: WeightStart | undefined;
}

/** x [B, T, d] -> [B, T, d] */
export function feedForward(scope: Scope, x: Tensor, { inner, gated, outputMaps }: FeedForwardConfig): Tensor {
  const d = x.shape[x.rank - 1];
  if (!gated) return linear(scope.at("down"), gelu(linear(scope.at("up"), x, inner)), d, outputMaps);
  const maps = ["up", "gate"].map((name) => linearParameters(scope.at(name), d, inner));
  const [up, gate] = linearMaps(x, maps); // [B, T, inner] each
  return linear(scope.at("down"), gelu(up).mul(gate), d, outputMaps);
}

/**
 * GELU, exact: y = x Phi(x), Phi(x) = (1 + erf(x / sqrt 2)) / 2 the normal distribution,
 * dx = g (Phi(x) + x phi(x)), phi(x) = e^(-x^2 / 2) / sqrt(2 pi).
 *
 * ONNX Runtime recognises the forward form and computes it in one pass, if nothing else uses its intermediate results.
 * So the gradient computes erf again, of x times 1 / sqrt 2 where the forward form divides, lest the runtime merge the
 * two.
 */
export function gelu(x: Tensor): Tensor {
  const y = x.mul(0.5).mul(x.div(Math.SQRT2).erf().add(1));
  return withGradient(y, [x], (g) => {
    const t = x.mul(Math.SQRT1_2);
    // Half the bracket of 2 Phi + 2 x phi; 2 x phi = t e^(ln(2 / sqrt pi) - t^2)
    const density = t
      .constant(Math.log(2 / Math.sqrt(Math.PI)))
      .sub(t.mul(t))
      .exp();
    return [density.mul(t).add(t.erf().add(1)).mul(g.mul(0.5))];
  });
}
