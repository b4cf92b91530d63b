/** Definitions of element-wise operators. Integers wrap to 32 bits; integer division goes towards zero. */
import type { DType } from "../../src/base/dtype.ts";
import {
  broadcastTo,
  broadcastTogether,
  type Definition,
  type Definitions,
  mapped,
  type Value,
  zeros,
} from "./value.ts";

type NoAttributes = Readonly<Record<never, never>>;

function unary(f: (x: number) => number): Definition<NoAttributes> {
  return ([x]) => [{ dtype: x.dtype, shape: x.shape, data: mapped(x.data, f) }];
}

/** Computes y from inputs of one length, the third only for Where. */
type Loop = (y: Float64Array, a: Float64Array, b: Float64Array, c: Float64Array) => void;

/** Broadcasts the inputs to one shape, then computes element by element. */
function together(dtype: DType, inputs: readonly Value[], loop: Loop): Value {
  const shape = broadcastTogether(inputs.map((input) => input.shape));
  const [a, b, c = b] = inputs.map((input) => broadcastTo(input, shape).data);
  const y = zeros(dtype, shape);
  loop(y.data, a, b, c);
  return y;
}

function eachPair(f: (a: number, b: number) => number): Loop {
  return (y, a, b) => {
    for (let i = 0; i < y.length; i++) y[i] = f(a[i], b[i]);
  };
}

function binary(float: Loop, integer: (a: number, b: number) => number): Definition<NoAttributes> {
  return (inputs) => {
    const { dtype } = inputs[0];
    return [together(dtype, inputs, dtype === "int32" ? eachPair(integer) : float)];
  };
}

function comparison(f: (a: number, b: number) => boolean): Definition<NoAttributes> {
  return (inputs) => [
    together(
      "bool",
      inputs,
      eachPair((a, b) => Number(f(a, b))),
    ),
  ];
}

/** erf x = 2/sqrt(pi) e^(-x²) (x + 2x³/3 + 4x⁵/15 + …), a series of equal signs; 1 to the last bit beyond 6. */
export function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

const conversion: Record<DType, (x: number) => number> = {
  float32: (x) => x,
  int32: (x) => Math.trunc(x),
  bool: (x) => (x !== 0 ? 1 : 0),
};

export const elementwise = {
  Neg: ([x]) => {
    const y = zeros(x.dtype, x.shape);
    for (let i = 0; i < y.data.length; i++) y.data[i] = -x.data[i];
    return [y];
  },
  Exp: unary(Math.exp),
  Log: unary(Math.log),
  Sqrt: unary(Math.sqrt),
  Reciprocal: unary((x) => 1 / x),
  Sigmoid: unary((x) => 1 / (1 + Math.exp(-x))),
  Tanh: unary(Math.tanh),
  Relu: unary((x) => Math.max(x, 0)),
  Erf: unary(erf),
  Sin: unary(Math.sin),
  Cos: unary(Math.cos),

  // The four that graphs are full of have loops of their own: a call for every element takes most of the time.
  Add: binary(
    (y, a, b) => {
      for (let i = 0; i < y.length; i++) y[i] = a[i] + b[i];
    },
    (a, b) => (a + b) | 0,
  ),
  Sub: binary(
    (y, a, b) => {
      for (let i = 0; i < y.length; i++) y[i] = a[i] - b[i];
    },
    (a, b) => (a - b) | 0,
  ),
  Mul: binary((y, a, b) => {
    for (let i = 0; i < y.length; i++) y[i] = a[i] * b[i];
  }, Math.imul),
  Div: binary(
    (y, a, b) => {
      for (let i = 0; i < y.length; i++) y[i] = a[i] / b[i];
    },
    (a, b) => Math.trunc(a / b),
  ),
  Max: binary(eachPair(Math.max), Math.max),
  Min: binary(eachPair(Math.min), Math.min),

  Less: comparison((a, b) => a < b),
  Equal: comparison((a, b) => a === b),
  And: comparison((a, b) => a !== 0 && b !== 0),
  Not: unary((x) => (x === 0 ? 1 : 0)),
  Where: (inputs) => [
    together(inputs[1].dtype, inputs, (y, condition, yes, no) => {
      for (let i = 0; i < y.length; i++) y[i] = condition[i] !== 0 ? yes[i] : no[i];
    }),
  ],
  Cast: ([x], { to }) => [{ dtype: to, shape: x.shape, data: mapped(x.data, conversion[to]) }],
} satisfies Partial<Definitions>;
