/** Cases of reductions, running sums, softmax and matrix products. */
import type { Shape } from "../../../src/base/shape.ts";
import { type Case, floats, listed, operatorCase, ties } from "../case.ts";

const reduced: readonly (readonly [Shape, readonly number[]])[] = [
  [[1], [0]],
  [[5], [0]],
  [[2, 3], [0]],
  [[2, 3], [1]],
  [
    [2, 3],
    [0, 1],
  ],
  [[2, 3, 4], [1]],
  [
    [2, 3, 4],
    [0, 2],
  ],
  [[2, 1, 4], [1]],
  [
    [2, 3, 1, 2],
    [0, 3],
  ],
  [
    [1, 2, 3, 2, 2],
    [1, 2, 4],
  ],
  [[2, 0, 3], [0]],
  [[2, 0, 3], [2]],
];

/** Only a sum has a value over nothing. */
const reducedToNothing: readonly (readonly [Shape, readonly number[]])[] = [
  [[0], [0]],
  [[2, 0, 3], [1]],
  [
    [0, 2],
    [0, 1],
  ],
];

const running: readonly (readonly [Shape, number])[] = [
  [[1], 0],
  [[6], 0],
  [[3, 4], 0],
  [[3, 4], 1],
  [[2, 3, 2], 1],
  [[2, 1, 3], 1],
  [[2, 1, 2, 3, 2], 3],
  [[0], 0],
  [[2, 0, 3], 1],
  [[2, 0, 3], 2],
];

const normalized: readonly Shape[] = [[1], [7], [3, 4], [2, 1], [2, 3, 4], [2, 1, 2, 3], [1, 2, 1, 2, 3], [0, 3]];

const products: readonly (readonly [Shape, Shape])[] = [
  [
    [2, 3],
    [3, 4],
  ],
  [
    [1, 3],
    [3, 1],
  ],
  [
    [3, 1],
    [1, 2],
  ],
  [
    [1, 1],
    [1, 1],
  ],
  [
    [2, 5, 3],
    [3, 4],
  ],
  [
    [2, 2, 1, 3],
    [3, 2],
  ],
  [
    [2, 3],
    [3, 3, 2],
  ],
  [
    [2, 2, 3],
    [2, 3, 2],
  ],
  [
    [1, 2, 3],
    [3, 3, 2],
  ],
  [
    [3, 2, 3],
    [1, 3, 2],
  ],
  [
    [2, 1, 2, 3],
    [3, 3, 2],
  ],
  [
    [2, 1, 1, 2, 3],
    [2, 1, 3, 2],
  ],
  [
    [0, 3],
    [3, 2],
  ],
  [
    [2, 3],
    [3, 0],
  ],
  [
    [2, 0],
    [0, 3],
  ],
  [
    [0, 2, 3],
    [0, 3, 2],
  ],
  [
    [0, 2, 3],
    [3, 2],
  ],
  [
    [33, 65],
    [65, 17],
  ],
];

export const reductionCases: readonly Case[] = [
  ...reduced.flatMap(([shape, axes]) => [
    operatorCase("ReduceSum", [floats(shape)], { axes }),
    operatorCase("ReduceMean", [floats(shape)], { axes }),
    operatorCase("ReduceMax", [floats(shape)], { axes }, { exact: true }),
    operatorCase("ReduceMax", [ties(shape)], { axes }, { exact: true, smooth: false, note: "with ties" }),
  ]),
  ...reducedToNothing.map(([shape, axes]) => operatorCase("ReduceSum", [floats(shape)], { axes })),
  ...running.flatMap(([shape, axis]) =>
    [0, 1].flatMap((exclusive) =>
      [0, 1].map((reverse) => operatorCase("CumSum", [floats(shape)], { axis, exclusive, reverse })),
    ),
  ),
  ...normalized.map((shape) => operatorCase("Softmax", [floats(shape)], { axis: shape.length - 1 })),
  operatorCase("Softmax", [listed([-1e4, 0, 1e4, 1e4])], { axis: 0 }, { smooth: false, note: "far apart" }),
  operatorCase("Softmax", [listed([-1e30, -1e30])], { axis: 0 }, { smooth: false, note: "all masked" }),
  ...products.map(([a, b]) => operatorCase("MatMul", [floats(a, "a"), floats(b, "b")], {})),
];
