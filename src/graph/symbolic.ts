/**
 * The parts of a graph: nodes, and symbolic tensors, each a typed reference to one output of a node. Only the types are
 * here, because operators need them and tensors need operators; tensor.ts creates tensors and nodes.
 */
import type { DType, HostArray, TensorType } from "../base/dtype.ts";
import type { Shape } from "../base/shape.ts";

export type AttributeValue = number | string | readonly number[];
export type Attributes = Readonly<Record<string, AttributeValue>>;

/** A custom VJP: the gradients of `inputs` from those of `outputs`, written by hand instead of derived. */
export interface CustomGradient {
  readonly outputs: readonly Tensor[];
  readonly inputs: readonly Tensor[];
  /** `wanted`: of which inputs a gradient is needed at all; what is returned for the others is not looked at. */
  rule(gradients: readonly Tensor[], wanted: readonly boolean[]): readonly (Tensor | undefined)[];
}

export interface OperatorNode {
  readonly kind: "operator";
  /** One of the table in ops/index.ts. */
  readonly name: string;
  readonly inputs: readonly Tensor[];
  readonly attributes: Attributes;
  readonly outputs: readonly Tensor[];
  customGradient?: CustomGradient;
}

/** A value given at every run: a parameter, a batch, a part of a state. */
export interface InputNode {
  readonly kind: "input";
  readonly name: string;
  readonly outputs: readonly Tensor[];
}

export interface ConstantNode {
  readonly kind: "constant";
  readonly data: HostArray;
  readonly outputs: readonly Tensor[];
}

export type Node = OperatorNode | InputNode | ConstantNode;

/**
 * Types are checked at once (a wrong shape throws at the line that causes it), values are computed only when a program
 * runs. Shapes are fixed integers. Axes count from 0, or from the end when negative.
 */
export interface Tensor extends TensorType {
  readonly node: Node;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly rank: number;
  readonly size: number;

  // Arithmetic, with broadcasting; a number stands for a scalar of this tensor's dtype.
  add(other: Tensor | number): Tensor;
  sub(other: Tensor | number): Tensor;
  mul(other: Tensor | number): Tensor;
  div(other: Tensor | number): Tensor;
  max(other: Tensor | number): Tensor;
  min(other: Tensor | number): Tensor;
  neg(): Tensor;
  exp(): Tensor;
  log(): Tensor;
  sqrt(): Tensor;
  reciprocal(): Tensor;
  sigmoid(): Tensor;
  tanh(): Tensor;
  relu(): Tensor;
  erf(): Tensor;
  sin(): Tensor;
  cos(): Tensor;

  // Comparison and selection: booleans.
  less(other: Tensor | number): Tensor;
  equal(other: Tensor | number): Tensor;
  and(other: Tensor): Tensor;
  not(): Tensor;
  /** `yes` where this condition holds, else `no`. */
  where(yes: Tensor, no: Tensor): Tensor;
  cast(to: DType): Tensor;

  // Products and reductions; a reduced axis stays as size 1, and reducing along no axes is this tensor itself.
  /** Over the last two axes, with broadcasting of those before. */
  matmul(other: Tensor): Tensor;
  sum(axes: readonly number[]): Tensor;
  mean(axes: readonly number[]): Tensor;
  maximum(axes: readonly number[]): Tensor;
  cumsum(axis: number, options?: { exclusive?: boolean; reverse?: boolean }): Tensor;
  softmax(axis?: number): Tensor;

  // Layout.
  /** One size may be -1: it follows from the others. */
  reshape(shape: Shape): Tensor;
  transpose(perm: readonly number[]): Tensor;
  /** The last two axes swapped. */
  swapLast(): Tensor;
  concat(others: readonly Tensor[], axis: number): Tensor;
  split(axis: number, sizes: readonly number[]): readonly Tensor[];
  slice(axis: number, start: number, end: number): Tensor;
  /** With zeros added before and after along an axis. */
  pad(axis: number, before: number, after: number): Tensor;
  expand(shape: Shape): Tensor;

  // Indices, int32.
  /** Rows of this table: indices of any shape. */
  gather(indices: Tensor): Tensor;
  gatherElements(axis: number, indices: Tensor): Tensor;
  scatterAdd(axis: number, indices: Tensor, updates: Tensor): Tensor;

  // Constants of this tensor's dtype.
  constant(value: number): Tensor;
  zeros(shape: Shape): Tensor;
}
