/**
 * What the scores of a gated unit's quadratic attention become: the paper's squared ReLU; softmax, which it is compared
 * with (Hua, Dai, Liu, Le 2022, section 4, ablations); or the Laplace function of Mega (Ma et al. 2022, "Mega: Moving Average
 * Equipped Gated Attention", section 3.3), a smooth step that stays bounded.
 */
import { type Tensor, withGradient } from "../graph/tensor.ts";
import { squaredRelu } from "./activations.ts";
import { hiddenWhereMasked, realInChunks, softmaxMatmul } from "./multi-head.ts";

export const attentionFunctionNames = ["relu2", "softmax", "laplace"] as const;
export type AttentionFunction = (typeof attentionFunctionNames)[number];

/**
 * What scores over a span of n positions are multiplied by: 1 / n, since relu2 and laplace weigh each key by itself and
 * their sum grows with n; softmax weights add up to 1 whatever n is, and take 1 / sqrt(s) as in a Transformer.
 */
export function scoreScale(kind: AttentionFunction, span: number, s: number): number {
  return kind === "softmax" ? 1 / Math.sqrt(s) : 1 / span;
}

/**
 * f(scores) v: scores [..., R, N] with the bias, v [..., N, e] -> [..., R, e]. A score of -1e30 has the weight 0, and so
 * has a key where `real` (1 or 0, of a shape that broadcasts with the scores) is 0. A row of softmax in which nothing is
 * left has finite weights of no meaning. `more` [..., R, N] are weights of another kind, added to those of the scores.
 */
export function attend(kind: AttentionFunction, scores: Tensor, v: Tensor, real?: Tensor, more?: Tensor): Tensor {
  if (kind === "relu2") return squaredReluMatmul(scores, v, real, more);
  if (kind === "softmax") {
    const found = softmaxMatmul(real ? scores.add(hiddenWhereMasked(real)) : scores, v);
    return more ? found.add(more.matmul(v)) : found;
  }
  const a = laplace(scores);
  const weights = real ? a.mul(real) : a;
  return (more ? weights.add(more) : weights).matmul(v);
}

/**
 * (relu(scores)^2 * real + more) v: with A the weights and g the gradient of the result, dv = Aᵀ g, dmore = g vᵀ and
 * dscores = 2 relu(scores) real * (g vᵀ), the factor 2 on the narrower of both sides.
 */
export function squaredReluMatmul(scores: Tensor, v: Tensor, real?: Tensor, more?: Tensor): Tensor {
  const positive = real ? scores.relu().mul(real) : scores.relu();
  const square = positive.mul(positive);
  const a = more ? square.add(more) : square;
  const [N, e] = v.shape.slice(-2);
  return withGradient(a.matmul(v), more ? [scores, v, more] : [scores, v], (g) => {
    const dA = (t: Tensor) => t.matmul(v.swapLast());
    if (more) {
      const dMore = dA(g);
      return [dMore.mul(positive).mul(2), transposedProduct(a, g), dMore];
    }
    return [N > e ? dA(g.mul(2)).mul(positive) : dA(g).mul(positive).mul(2), transposedProduct(a, g)];
  });
}

/** aᵀ g of a [..., R, N] and g [..., R, e], transposing whichever costs less. */
function transposedProduct(a: Tensor, g: Tensor): Tensor {
  const [R, N] = a.shape.slice(-2);
  const e = g.shape[g.rank - 1];
  return R * N < (R + N) * e ? a.swapLast().matmul(g) : g.swapLast().matmul(a).swapLast();
}

/** Weights of scores that lie side by side, [P, n_i] each: the same function over all of them, for a few new tokens. */
export function weightsOf(kind: AttentionFunction, scores: readonly Tensor[]): readonly Tensor[] {
  if (kind !== "softmax") return scores.map(kind === "relu2" ? squaredRelu : laplace);
  const [first, ...rest] = scores;
  const sizes = scores.map(({ shape }) => shape[1]);
  return first.concat(rest, 1).softmax().split(1, sizes);
}

/**
 * Which keys of the chunks are real, [B or 1, G, 1, C]; undefined where all are, or where it makes no difference: zeros
 * after the last token have values of zero, which only softmax's sum of weights would notice.
 */
export function realKeys(
  kind: AttentionFunction,
  v: Tensor,
  config: { readonly chunk: number; readonly causal: boolean },
  mask?: Tensor,
): Tensor | undefined {
  const C = config.chunk;
  const G = Math.ceil(v.shape[1] / C);
  if (kind === "softmax") return realInChunks(config, v, mask)?.reshape([-1, G, 1, C]);
  return mask?.pad(1, 0, G * C - v.shape[1]).reshape([v.shape[0], G, 1, C]);
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
