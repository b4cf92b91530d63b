/** SiLU and squared ReLU with hand-written gradients, which need fewer passes over memory than the derived ones. */
import { type Tensor, withGradient } from "../graph/tensor.ts";

/**
 * SiLU (Elfwing, Uchibe, Doya 2017): y = x sigma(x), dx = g (sigma(x) + y (1 - sigma(x))). In this form the backward
 * pass needs y and sigma(x), but not x, whose memory is free for the next layer.
 */
export function silu(x: Tensor): Tensor {
  const gate = x.sigmoid();
  const y = x.mul(gate);
  return withGradient(y, [x], (g) => [y.mul(y.constant(1).sub(gate)).add(gate).mul(g)]);
}

/** Squared ReLU (So et al. 2021, "Primer"): y = max(x, 0)^2, dx = 2 max(x, 0) g. */
export function squaredRelu(x: Tensor): Tensor {
  const positive = x.relu();
  return withGradient(positive.mul(positive), [x], (g) => [positive.mul(g).mul(2)]);
}
