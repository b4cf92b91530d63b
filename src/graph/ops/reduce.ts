/** Sums, means, maxima and running sums along axes; softmax. Reductions keep the reduced axes as size 1. */
import type { TensorType } from "../../base/dtype.ts";
import type { Shape } from "../../base/shape.ts";
import { expectAxis, expectCount, expectDType, fail, like, type Operator } from "../operator.ts";

type Axes = { axes: readonly number[] };

function reducedShape(type: TensorType, axes: readonly number[]): number[] {
  if (axes.length === 0) fail("expected at least one axis, since ONNX takes none for all");
  for (const axis of axes) expectAxis(type, axis);
  return type.shape.map((n, axis) => (axes.includes(axis) ? 1 : n));
}

function reduction(gradient: Operator<Axes>["gradient"], emptyAllowed = false): Operator<Axes> {
  return {
    infer(inputs, { axes }) {
      expectCount(inputs, 1);
      expectDType(inputs[0], "float32");
      if (!emptyAllowed && axes.some((axis) => inputs[0].shape[axis] === 0))
        fail("expected elements along the reduced axes, got an empty axis");
      return [like(inputs[0], reducedShape(inputs[0], axes))];
    },
    gradient,
    onnx: ({ axes }) => ({ attributes: { keepdims: 1 }, operands: [{ int64: axes }] }),
  };
}

const count = (shape: Shape, axes: readonly number[]) => axes.reduce((n, axis) => n * shape[axis], 1);

export const reductions = {
  // d sum = g, repeated
  ReduceSum: reduction(({ inputs: [x], gradients: [g] }) => [g.expand(x.shape)], true),
  // d mean = g / n, repeated
  ReduceMean: reduction(({ inputs: [x], gradients: [g], attributes: { axes } }) => [
    g.div(count(x.shape, axes)).expand(x.shape),
  ]),
  // d max = g where x is the maximum, shared equally between ties
  ReduceMax: reduction(({ inputs: [x], outputs: [y], gradients: [g], attributes: { axes } }) => {
    const hits = x.equal(y);
    const ties = hits.where(g.constant(1), g.constant(0)).sum(axes);
    return [hits.where(g.div(ties), g.constant(0))];
  }),

  // y_t = sum of x_i over i <= t (i < t when exclusive; from the end when reverse): the gradient runs the other way
  CumSum: {
    infer(inputs, { axis }) {
      expectCount(inputs, 1);
      expectDType(inputs[0], "float32");
      expectAxis(inputs[0], axis);
      return [inputs[0]];
    },
    gradient: ({ gradients: [g], attributes: { axis, exclusive, reverse } }) => [
      g.cumsum(axis, { exclusive: exclusive === 1, reverse: reverse === 0 }),
    ],
    onnx: ({ axis, exclusive, reverse }) => ({
      attributes: { exclusive, reverse },
      operands: [{ int64: [axis], scalar: true }],
    }),
  } satisfies Operator<{ axis: number; exclusive: number; reverse: number }>,

  // dx = y (g - sum(g y))
  Softmax: {
    infer(inputs, { axis }) {
      expectCount(inputs, 1);
      expectDType(inputs[0], "float32");
      if (axis !== inputs[0].shape.length - 1) fail(`expected the last axis, got ${axis}`);
      return [inputs[0]];
    },
    gradient: ({ outputs: [y], gradients: [g], attributes: { axis } }) => {
      const gy = g.mul(y);
      return [gy.sub(y.mul(gy.sum([axis])))];
    },
    onnx: ({ axis }) => ({ attributes: { axis } }),
  } satisfies Operator<{ axis: number }>,
};
