/**
 * Linear maps: x [..., in] @ weight [in, out] + bias [out], with hand-written gradients that need fewer and better
 * shaped products than the derived ones.
 */
import { sizeOf } from "../base/shape.ts";
import { constant, type Tensor, withGradient, withGradients } from "../graph/tensor.ts";
import type { Scope } from "./scope.ts";

export interface LinearParameters {
  /** [in, out] */
  readonly weight: Tensor;
  /** [out] */
  readonly bias: Tensor;
}

/** Weights start normal with variance 1 / in, biases at zero. */
export function linearParameters(scope: Scope, inputs: number, outputs: number): LinearParameters {
  return {
    weight: scope.parameter("weight", [inputs, outputs], { normal: 1 / Math.sqrt(inputs) }),
    bias: scope.parameter("bias", [outputs], { constant: 0 }),
  };
}

export function linear(scope: Scope, x: Tensor, outputs: number): Tensor {
  return linearParts(x, linearParameters(scope, x.shape[x.rank - 1], outputs), [outputs])[0];
}

/**
 * One linear map whose result comes in parts of the given widths: [..., sizes[i]] each. Forward there is one product for
 * each part, with columns of the weight: splitting weights is cheaper than splitting activations. Backward the gradients
 * are joined again, since one product with all columns is faster than the sum of several.
 */
export function linearParts(
  x: Tensor,
  { weight, bias }: LinearParameters,
  sizes: readonly number[],
): readonly Tensor[] {
  const weights = weight.split(1, sizes);
  const biases = bias.split(0, sizes);
  const parts = weights.map((w, i) => x.matmul(w).add(biases[i]));
  return withGradients(parts, [x, weight, bias], (gradients) => {
    const g = gradients[0].concat(gradients.slice(1), -1); // [..., out]
    const gRows = rows(g); // [N, out]
    return [g.matmul(weight.swapLast()), weightGradient(rows(x), gRows), sumOfRows(gRows)];
  });
}

/** xᵀ g of x [N, in] and g [N, out], transposing whichever costs less. */
function weightGradient(x: Tensor, g: Tensor): Tensor {
  const [count, inputs] = x.shape;
  const outputs = g.shape[1];
  return count * outputs + inputs * outputs < count * inputs
    ? g.swapLast().matmul(x).swapLast()
    : x.swapLast().matmul(g);
}

/** x [..., width] * gain [width] + offset [width], column by column. */
export function scaleAndShift(x: Tensor, gain: Tensor, offset: Tensor): Tensor {
  return withGradient(x.mul(gain).add(offset), [x, gain, offset], (g) => [
    g.mul(gain),
    sumOfRows(g.mul(x)),
    sumOfRows(g),
  ]);
}

/** Sum over the rows of x [..., width]: [width]. A product with ones: the reduction operator is slower on a CPU. */
export function sumOfRows(x: Tensor): Tensor {
  const [count, width] = rows(x).shape;
  return constant(new Float32Array(count).fill(1), [1, count]).matmul(rows(x)).reshape([width]);
}

function rows(x: Tensor): Tensor {
  return x.reshape([sizeOf(x.shape.slice(0, -1)), x.shape[x.rank - 1]]);
}
