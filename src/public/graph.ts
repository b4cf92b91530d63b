/**
 * `longhand/graph`: what is computed, without values: tensors, operators, recomputation; the arrays that hold values.
 */
export type { HostTensor } from "../base/dtype.ts";
export { sizeOf } from "../base/shape.ts";
export { type Recompute, recomputeNames } from "../graph/recompute.ts";
export { constant, type Tensor } from "../graph/tensor.ts";
