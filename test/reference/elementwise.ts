/** Definitions of element-wise operators. Integers wrap to 32 bits; integer division goes towards zero. */
import type { DType } from "../../src/base/dtype.ts";
import { broadcastTo, broadcastTogether, type Definition, type Definitions, type Value } from "./value.ts";

type NoAttributes = Readonly<Record<never, never>>;

function unary(f: (x: number) => number): Definition<NoAttributes> {
  return ([x]) => [{ dtype: x.dtype, shape: x.shape, data: x.data.map(f) }];
}

/** Broadcasts the inputs to one shape, then computes element by element. */
function mapTogether(dtype: DType, inputs: readonly Value[], f: (...x: number[]) => number): Value {
  const shape = broadcastTogether(inputs.map((input) => input.shape));
  const [a, b, c] = inputs.map((input) => broadcastTo(input, shape).data);
  const data = c === undefined ? a.map((x, i) => f(x, b[i])) : a.map((x, i) => f(x, b[i], c[i]));
  return { dtype, shape, data };
}

function binary(
  float: (a: number, b: number) => number,
  integer: (a: number, b: number) => number,
): Definition<NoAttributes> {
  return (inputs) => {
    const { dtype } = inputs[0];
    return [mapTogether(dtype, inputs, dtype === "int32" ? integer : float)];
  };
}

function comparison(f: (a: number, b: number) => boolean): Definition<NoAttributes> {
  return (inputs) => [mapTogether("bool", inputs, (a, b) => Number(f(a, b)))];
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
  Neg: unary((x) => -x),
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

  Add: binary(
    (a, b) => a + b,
    (a, b) => (a + b) | 0,
  ),
  Sub: binary(
    (a, b) => a - b,
    (a, b) => (a - b) | 0,
  ),
  Mul: binary((a, b) => a * b, Math.imul),
  Div: binary(
    (a, b) => a / b,
    (a, b) => Math.trunc(a / b),
  ),
  Max: binary(Math.max, Math.max),
  Min: binary(Math.min, Math.min),

  Less: comparison((a, b) => a < b),
  Equal: comparison((a, b) => a === b),
  And: comparison((a, b) => a !== 0 && b !== 0),
  Not: unary((x) => (x === 0 ? 1 : 0)),
  Where: (inputs) => [mapTogether(inputs[1].dtype, inputs, (condition, yes, no) => (condition !== 0 ? yes : no))],
  Cast: ([x], { to }) => [{ dtype: to, shape: x.shape, data: x.data.map(conversion[to]) }],
} satisfies Partial<Definitions>;
