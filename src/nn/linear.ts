/** A linear map: x [..., in] @ weight [in, out] + bias [out]. */
import type { Tensor } from "../graph/tensor.ts";
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
  const { weight, bias } = linearParameters(scope, x.shape[x.rank - 1], outputs);
  return x.matmul(weight).add(bias);
}
