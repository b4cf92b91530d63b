/** Element-wise arithmetic with broadcasting, comparisons and selection. g is the gradient of the output. */
import type { DType, TensorType } from "../../base/dtype.ts";
import { broadcastShapes } from "../../base/shape.ts";
import {
  expectCount,
  expectDType,
  fail,
  type GradientRule,
  like,
  type NoAttributes,
  type Operator,
} from "../operator.ts";

type Rule = GradientRule<NoAttributes>;
const IN_PLACE = { inPlace: true };
const NOT_DIFFERENTIABLE = { none: "its output is no continuous function of its inputs" };

function unary(gradient: Rule): Operator<NoAttributes> {
  return {
    infer(inputs) {
      expectCount(inputs, 1);
      expectDType(inputs[0], "float32");
      return [inputs[0]];
    },
    gradient,
    traits: IN_PLACE,
  };
}

function broadcast(inputs: readonly TensorType[]): number[] {
  return inputs
    .slice(1)
    .reduce(
      (shape, input) => broadcastShapes(shape, input.shape) ?? fail("shapes do not broadcast"),
      [...inputs[0].shape],
    );
}

function binary(gradient: Rule): Operator<NoAttributes> {
  return {
    infer(inputs) {
      expectCount(inputs, 2);
      expectDType(inputs[0], "float32", "int32");
      expectDType(inputs[1], inputs[0].dtype);
      return [like(inputs[0], broadcast(inputs))];
    },
    gradient,
    traits: IN_PLACE,
  };
}

function comparison(...dtypes: readonly DType[]): Operator<NoAttributes> {
  return {
    infer(inputs) {
      expectCount(inputs, 2);
      expectDType(inputs[0], ...dtypes);
      expectDType(inputs[1], inputs[0].dtype);
      return [{ dtype: "bool", shape: broadcast(inputs) }];
    },
    gradient: NOT_DIFFERENTIABLE,
    traits: IN_PLACE,
  };
}

export const elementwise = {
  // d(-x) = -g
  Neg: unary(({ gradients: [g] }) => [g.neg()]),
  // d e^x = g e^x
  Exp: unary(({ outputs: [y], gradients: [g] }) => [g.mul(y)]),
  // d ln x = g / x
  Log: unary(({ inputs: [x], gradients: [g] }) => [g.div(x)]),
  // d sqrt x = g / (2 sqrt x)
  Sqrt: unary(({ outputs: [y], gradients: [g] }) => [g.div(y).mul(0.5)]),
  // d 1/x = -g / x^2
  Reciprocal: unary(({ outputs: [y], gradients: [g] }) => [g.mul(y).mul(y).neg()]),
  // d sigma(x) = g y (1 - y)
  Sigmoid: unary(({ outputs: [y], gradients: [g] }) => [g.mul(y.sub(y.mul(y)))]),
  // d tanh x = g (1 - y^2)
  Tanh: unary(({ outputs: [y], gradients: [g] }) => [g.sub(g.mul(y).mul(y))]),
  // d relu(x) = g where x > 0
  Relu: unary(({ outputs: [y], gradients: [g] }) => [g.constant(0).less(y).where(g, g.constant(0))]),
  // d erf x = g 2/sqrt(pi) e^(-x^2)
  Erf: unary(({ inputs: [x], gradients: [g] }) => [
    x
      .mul(x)
      .neg()
      .exp()
      .mul(2 / Math.sqrt(Math.PI))
      .mul(g),
  ]),
  // d sin x = g cos x
  Sin: unary(({ inputs: [x], gradients: [g] }) => [g.mul(x.cos())]),
  // d cos x = -g sin x
  Cos: unary(({ inputs: [x], gradients: [g] }) => [g.mul(x.sin()).neg()]),

  Add: binary(({ gradients: [g] }) => [g, g]),
  Sub: binary(({ gradients: [g] }) => [g, g.neg()]),
  // x * x passes 2 g x once, not g x twice
  Mul: binary(({ inputs: [a, b], gradients: [g] }) => (a === b ? [g.mul(a).mul(2), undefined] : [g.mul(b), g.mul(a)])),
  // d (a / b) = g / b, -g (a / b) / b
  Div: binary(({ inputs: [, b], outputs: [y], gradients: [g] }) => {
    const da = g.div(b);
    return [da, da.mul(y).neg()];
  }),
  // At a tie the whole gradient goes to the first input.
  Max: binary(({ inputs: [a, b], gradients: [g] }) => {
    const second = a.less(b);
    return [second.where(g.constant(0), g), second.where(g, g.constant(0))];
  }),
  Min: binary(({ inputs: [a, b], gradients: [g] }) => {
    const second = b.less(a);
    return [second.where(g.constant(0), g), second.where(g, g.constant(0))];
  }),

  Less: comparison("float32", "int32"),
  Equal: comparison("float32", "int32"),
  And: comparison("bool"),
  Not: {
    infer(inputs) {
      expectCount(inputs, 1);
      expectDType(inputs[0], "bool");
      return [inputs[0]];
    },
    gradient: NOT_DIFFERENTIABLE,
    traits: IN_PLACE,
  } satisfies Operator<NoAttributes>,

  // Where(condition, a, b): g goes where the value came from
  Where: {
    infer(inputs) {
      expectCount(inputs, 3);
      expectDType(inputs[0], "bool");
      expectDType(inputs[1], "float32", "int32"); // ONNX Runtime does not choose between booleans
      expectDType(inputs[2], inputs[1].dtype);
      return [like(inputs[1], broadcast(inputs))];
    },
    gradient: ({ inputs: [condition], gradients: [g] }) => [
      undefined,
      condition.where(g, g.constant(0)),
      condition.where(g.constant(0), g),
    ],
    traits: IN_PLACE,
  } satisfies Operator<NoAttributes>,

  // Conversion between element types; only float32 carries a gradient.
  Cast: {
    infer(inputs, { to }) {
      expectCount(inputs, 1);
      return [{ dtype: to, shape: inputs[0].shape }];
    },
    gradient: { none: "it leaves or enters the integers" },
    onnx: ({ to }) => ({ attributes: { to: { float32: 1, int32: 6, bool: 9 }[to] } }),
    traits: IN_PLACE,
  } satisfies Operator<{ to: DType }>,
};
