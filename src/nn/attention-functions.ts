/**
 * The function that turns scores into weights in a gated unit's quadratic attention: the paper's squared ReLU; softmax,
 * with which the paper compares it (Hua, Dai, Liu, Le 2022, section 4, ablations); or the Laplace function of Mega (Ma
 * et al. 2022, "Mega: Moving Average Equipped Gated Attention", section 3.3), a smooth step that stays bounded.
 */
import { type Tensor, withGradient } from "../graph/tensor.ts";
import { squaredRelu } from "./activations.ts";
import { addOptional } from "./visibility.ts";

export const attentionFunctionNames = ["relu2", "softmax", "laplace"] as const;
export type AttentionFunction = (typeof attentionFunctionNames)[number];

/**
 * The factor of scores over a span of n positions: 1 / n, since relu2 and laplace weigh each key by itself and their
 * sum grows with n; for softmax, whose weights add up to 1 for any n, 1 / sqrt(s) as in a Transformer.
 */
export function scoreScale(kind: AttentionFunction, span: number, s: number): number {
  return kind === "softmax" ? 1 / Math.sqrt(s) : 1 / span;
}

/**
 * f(scores) v: scores [..., R, N] with the bias, v [..., N, e] -> [..., R, e]. A score of HIDDEN has the weight 0; a
 * row of softmax whose scores are all HIDDEN has finite weights without meaning. `linearWeights` [..., R, N], those of
 * linear attention to the same tokens, are added to the weights of the scores.
 */
export function attend(kind: AttentionFunction, scores: Tensor, v: Tensor, linearWeights?: Tensor): Tensor {
  if (kind === "relu2") return squaredReluMatmul(scores, v, linearWeights);
  if (kind === "softmax") return addOptional(softmaxMatmul(scores, v), linearWeights?.matmul(v));
  return addOptional(laplace(scores), linearWeights).matmul(v);
}

/**
 * softmax(scores) v: scores [..., R, N], v [..., N, w] -> [..., R, w]. With P the weights and g the gradient of the
 * result,
 *
 *     dv = Pᵀ g = (gᵀ P)ᵀ           only narrow matrices are transposed
 *     dscores = P * (g vᵀ - r)      r = row sum of g * result: equal to the row sum of P * (g vᵀ), and cheaper
 *
 * g vᵀ - r is one product, [g, -r] [v, 1]ᵀ: one more column costs less than a pass over the scores.
 */
export function softmaxMatmul(scores: Tensor, v: Tensor): Tensor {
  const p = scores.softmax();
  const result = p.matmul(v);
  return withGradient(result, [scores, v], (g) => {
    const minusR = g.mul(result).sum([-1]).neg(); // [..., R, 1]
    const ones = v.constant(1).expand([...v.shape.slice(0, -1), 1]);
    const dScores = g
      .concat([minusR], -1)
      .matmul(v.concat([ones], -1).swapLast())
      .mul(p);
    return [dScores, g.swapLast().matmul(p).swapLast()];
  });
}

/**
 * (relu(scores)^2 + L) v, L the weights of linear attention: with A the sum of both weights and g the gradient of the
 * result, dv = Aᵀ g, dL = g vᵀ and dscores = 2 relu(scores) * (g vᵀ), the factor 2 on the narrower side.
 */
export function squaredReluMatmul(scores: Tensor, v: Tensor, linearWeights?: Tensor): Tensor {
  const positive = scores.relu();
  const square = positive.mul(positive);
  const a = addOptional(square, linearWeights);
  const [N, e] = v.shape.slice(-2);
  return withGradient(a.matmul(v), linearWeights ? [scores, v, linearWeights] : [scores, v], (g) => {
    const dA = (t: Tensor) => t.matmul(v.swapLast());
    if (linearWeights) {
      const dLinear = dA(g);
      return [dLinear.mul(positive).mul(2), transposedProduct(a, g), dLinear];
    }
    return [N > e ? dA(g.mul(2)).mul(positive) : dA(g).mul(positive).mul(2), transposedProduct(a, g)];
  });
}

/** aᵀ g of a [..., R, N] and g [..., R, e], transposing the side that costs less. */
function transposedProduct(a: Tensor, g: Tensor): Tensor {
  const [R, N] = a.shape.slice(-2);
  const e = g.shape[g.rank - 1];
  return R * N < (R + N) * e ? a.swapLast().matmul(g) : g.swapLast().matmul(a).swapLast();
}

/** f(scores) alone, [..., R, N], for a few new tokens. */
export function weightsOf(kind: AttentionFunction, scores: Tensor): Tensor {
  if (kind === "softmax") return scores.softmax();
  return kind === "relu2" ? squaredRelu(scores) : laplace(scores);
}

/**
 * Laplace function: y = (1 + erf((x - mu) / (sigma sqrt 2))) / 2 with mu = sqrt(1/2), sigma = sqrt(1 / (4 pi)), which
 * meets squared ReLU in value and slope at x = mu. With z = (x - mu) sqrt(2 pi), dx = sqrt 2 exp(-z^2) g.
 */
export function laplace(x: Tensor): Tensor {
  const z = x.mul(Math.sqrt(2 * Math.PI)).sub(Math.sqrt(Math.PI));
  const y = z.erf().mul(0.5).add(0.5);
  return withGradient(y, [x], (g) => [
    z
      .constant(Math.LN2 / 2)
      .sub(z.mul(z))
      .exp()
      .mul(g),
  ]);
}
