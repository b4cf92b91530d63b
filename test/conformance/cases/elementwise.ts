/** Cases of element-wise operators: every rank to 5, empty axes, broadcasting both ways, ties, saturation, integers. */
import type { DType, HostTensor } from "../../../src/base/dtype.ts";
import type { Shape } from "../../../src/base/shape.ts";
import {
  booleans,
  type Case,
  type CaseOptions,
  floats,
  integers,
  listed,
  nonzeros,
  operatorCase,
  positives,
  ties,
} from "../case.ts";

const shapes: readonly Shape[] = [[], [1], [5], [2, 3], [3, 1, 4], [2, 1, 3, 2], [1, 2, 3, 1, 2], [0], [2, 0, 3]];

export const broadcastPairs: readonly (readonly [Shape, Shape])[] = [
  [[], []],
  [[], [3]],
  [[4], []],
  [[3], [3]],
  [[2, 3], [3]],
  [[3], [2, 3]],
  [
    [2, 1],
    [1, 3],
  ],
  [
    [2, 3, 4],
    [1, 4],
  ],
  [[1], [2, 1, 3]],
  [[1, 1, 1], [2]],
  [
    [2, 1, 3, 1],
    [4, 1, 5],
  ],
  [
    [1, 2, 1, 2, 1],
    [2, 1, 2, 1, 2],
  ],
  [[0], [1]],
  [[], [0, 2]],
  [
    [2, 0, 3],
    [1, 3],
  ],
  [
    [1, 3],
    [0, 1],
  ],
];

const wide = listed([-80, -20, -6.5, -5.5, -3, -1, -0.5, -1e-3, 0, 1e-3, 0.5, 1, 3, 5.5, 6.5, 20, 80]);

/** WGSL promises nothing of sines beyond [-π, π]. */
const FAR = { webgpu: "off by 7e-4 on an NVIDIA H100" };

type Unary =
  | Extract<Case["operator"], "Neg" | "Exp" | "Log" | "Sqrt" | "Reciprocal" | "Sigmoid" | "Tanh" | "Relu">
  | "Erf"
  | "Sin"
  | "Cos";

function unary(
  operator: Unary,
  values: (shape: Shape) => HostTensor,
  special: readonly HostTensor[],
  options: CaseOptions = {},
): Case[] {
  return [
    ...shapes.map((shape) => operatorCase(operator, [values(shape)], {}, options)),
    ...special.map((x) => operatorCase(operator, [x], {}, { ...options, smooth: false, note: "far out" })),
  ];
}

type Binary = "Add" | "Sub" | "Mul" | "Div" | "Max" | "Min" | "Less" | "Equal";

function binary(
  operator: Binary,
  first: (shape: Shape, stream: string) => HostTensor,
  second: (shape: Shape, stream: string) => HostTensor,
  options: CaseOptions = {},
): Case[] {
  return broadcastPairs.map(([a, b]) => operatorCase(operator, [first(a, "a"), second(b, "b")], {}, options));
}

const anyInteger = (shape: Shape, stream: string) => integers(shape, -9, 9, stream);
const divisor = (shape: Shape, stream: string): HostTensor => {
  const { data } = integers(shape, 1, 4, stream);
  return { dtype: "int32", shape, data: Int32Array.from(data, (n, i) => (i % 2 === 0 ? n : -n)) };
};
const fewIntegers = (shape: Shape, stream: string) => integers(shape, -2, 2, stream);
const integer: CaseOptions = { exact: true, smooth: false };
const tied: CaseOptions = { exact: true, smooth: false, note: "with ties" };

const conditions: readonly (readonly [Shape, Shape, Shape])[] = [
  [[], [], []],
  [
    [2, 3],
    [2, 3],
    [2, 3],
  ],
  [[2, 1], [3], [1, 1]],
  [[], [2, 3], [3]],
  [[3, 1], [], []],
  [
    [4, 1, 2],
    [3, 1],
    [1, 1, 1],
  ],
  [
    [1, 2, 1, 2, 1],
    [2, 1, 2, 1, 2],
    [1, 1, 1, 1, 2],
  ],
  [[0], [1], [1]],
  [[2, 1], [2, 0], []],
];

const casts: readonly (readonly [HostTensor, DType])[] = [
  [listed([-2.9, -2, -0.5, -0, 0, 0.5, 0.99, 1, 7.5, 12345.6]), "int32"],
  [listed([-2, -0.5, 0, 1e-30, 1]), "bool"],
  [integers([2, 3], -1_000_000, 1_000_000), "float32"],
  [integers([2, 1, 4], -1, 1), "bool"],
  [booleans([3, 2]), "float32"],
  [booleans([]), "int32"],
  [floats([0]), "int32"],
  [integers([2, 0], 0, 1), "float32"],
  [floats([2]), "float32"],
];

export const elementwiseCases: readonly Case[] = [
  ...unary("Neg", floats, [wide], { exact: true }),
  ...unary("Exp", floats, [wide]),
  ...unary("Log", positives, [listed([1e-30, 1e-3, 1, 1e3, 1e30])]),
  ...unary("Sqrt", positives, [listed([0, 1e-30, 1e30])]),
  ...unary("Reciprocal", nonzeros, [listed([-1e3, -1e-3, 1e-3, 1e3])]),
  ...unary("Sigmoid", floats, [wide]),
  ...unary("Tanh", floats, [wide]),
  ...unary("Relu", nonzeros, [wide], { exact: true }),
  ...unary("Erf", floats, [wide]),
  ...unary("Sin", floats, [wide]),
  ...unary("Cos", floats, [wide]),
  ...(["Sin", "Cos"] as const).map((operator) =>
    operatorCase(operator, [listed([-1000, 8192.5])], {}, { smooth: false, note: "farther out", skip: FAR }),
  ),

  ...binary("Add", floats, floats),
  ...binary("Sub", floats, floats),
  ...binary("Mul", floats, floats),
  ...binary("Div", floats, nonzeros),
  ...binary("Max", floats, floats, { exact: true }),
  ...binary("Min", floats, floats, { exact: true }),
  ...binary("Max", ties, ties, tied),
  ...binary("Min", ties, ties, tied),
  ...binary("Less", ties, ties, tied),
  ...binary("Equal", ties, ties, tied),
  ...binary("Add", anyInteger, anyInteger, integer),
  ...binary("Sub", anyInteger, anyInteger, integer),
  ...binary("Mul", anyInteger, anyInteger, integer),
  ...binary("Div", anyInteger, divisor, integer),
  ...binary("Max", fewIntegers, fewIntegers, integer),
  ...binary("Min", fewIntegers, fewIntegers, integer),
  ...binary("Less", fewIntegers, fewIntegers, integer),
  ...binary("Equal", fewIntegers, fewIntegers, integer),
  ...broadcastPairs.map(([a, b]) => operatorCase("And", [booleans(a, "a"), booleans(b, "b")], {}, integer)),
  ...shapes.map((shape) => operatorCase("Not", [booleans(shape)], {}, integer)),

  ...conditions.map(([c, a, b]) =>
    operatorCase("Where", [booleans(c, "c"), floats(a, "a"), floats(b, "b")], {}, { exact: true }),
  ),
  ...conditions.map(([c, a, b]) =>
    operatorCase("Where", [booleans(c, "c"), anyInteger(a, "a"), anyInteger(b, "b")], {}, integer),
  ),
  ...casts.map(([x, to]) => operatorCase("Cast", [x], { to }, integer)),
];
