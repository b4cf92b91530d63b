/** Cases of operators that move elements, in every element type. */
import type { HostTensor } from "../../../src/base/dtype.ts";
import type { Shape } from "../../../src/base/shape.ts";
import { booleans, type Case, floats, integers, operatorCase } from "../case.ts";

const exact = { exact: true };

/** Values of each element type by turns. */
function values(shape: Shape, turn: number, stream = "a"): HostTensor {
  return turn % 3 === 0
    ? floats(shape, stream)
    : turn % 3 === 1
      ? integers(shape, -99, 99, stream)
      : booleans(shape, stream);
}

/** One case with floats, and one more with another element type. */
function twice(index: number, make: (turn: number) => Case): Case[] {
  return [make(0), make(1 + (index % 2))];
}

const reshapes: readonly (readonly [Shape, Shape])[] = [
  [[], [1, 1]],
  [[1], []],
  [
    [2, 6],
    [3, 4],
  ],
  [
    [2, 3],
    [2, 3],
  ],
  [[2, 3, 4], [24]],
  [[12], [1, 2, 1, 3, 2]],
  [[0], [2, 0]],
  [
    [2, 0, 3],
    [0, 5],
  ],
];

const transposes: readonly (readonly [Shape, readonly number[]])[] = [
  [[], []],
  [[3], [0]],
  [
    [2, 3],
    [1, 0],
  ],
  [
    [2, 3],
    [0, 1],
  ],
  [
    [2, 3, 4],
    [2, 0, 1],
  ],
  [
    [2, 1, 3, 2],
    [0, 2, 1, 3],
  ],
  [
    [2, 3, 1, 2, 2],
    [4, 2, 0, 3, 1],
  ],
  [
    [2, 0, 3],
    [1, 2, 0],
  ],
];

const joins: readonly (readonly [readonly Shape[], number])[] = [
  [[[3]], 0],
  [[[2], [0], [3]], 0],
  [
    [
      [2, 3],
      [1, 3],
    ],
    0,
  ],
  [
    [
      [2, 3],
      [2, 1],
      [2, 2],
    ],
    1,
  ],
  [
    [
      [2, 1, 3],
      [2, 4, 3],
    ],
    1,
  ],
  [
    [
      [1, 2, 1, 2, 2],
      [1, 2, 1, 2, 1],
    ],
    4,
  ],
  [
    [
      [0, 2],
      [0, 3],
    ],
    1,
  ],
];

const splits: readonly (readonly [Shape, number, readonly number[]])[] = [
  [[3], 0, [3]],
  [[5], 0, [2, 3]],
  [[5], 0, [2, 0, 3]],
  [[4, 3], 0, [1, 2, 1]],
  [[2, 4], 1, [1, 3]],
  [[2, 4, 2], 1, [2, 2]],
  [[1, 2, 1, 3, 2], 3, [1, 2]],
  [[0, 3], 1, [1, 2]],
];

const slices: readonly (readonly [Shape, number, number, number])[] = [
  [[5], 0, 0, 5],
  [[5], 0, 1, 3],
  [[5], 0, 2, 2],
  [[4, 3], 0, 3, 4],
  [[2, 4], 1, 1, 4],
  [[2, 4, 2], 1, 0, 2],
  [[2, 1, 2, 3, 2], 3, 1, 3],
  [[0, 3], 1, 1, 2],
  [[0, 3], 0, 0, 0],
];

const pads: readonly (readonly [Shape, number, number, number])[] = [
  [[3], 0, 1, 2],
  [[3], 0, 0, 0],
  [[0], 0, 1, 1],
  [[2, 3], 0, 2, 0],
  [[2, 3], 1, 0, 1],
  [[2, 1, 2], 1, 1, 1],
  [[1, 2, 1, 3, 2], 3, 2, 1],
  [[2, 0], 0, 1, 0],
];

const expands: readonly (readonly [Shape, Shape])[] = [
  [[], []],
  [[], [3]],
  [[1], [4]],
  [[3], [2, 3]],
  [
    [2, 1],
    [2, 3],
  ],
  [
    [1, 2, 1],
    [3, 2, 2],
  ],
  [
    [1, 2, 1, 1],
    [2, 1, 2, 3, 1],
  ],
  [[1], [0]],
  [[], [2, 0]],
  [
    [2, 3],
    [2, 3],
  ],
];

export const layoutCases: readonly Case[] = [
  ...reshapes.flatMap(([from, shape], i) =>
    twice(i, (turn) => operatorCase("Reshape", [values(from, turn)], { shape }, exact)),
  ),
  ...transposes.flatMap(([shape, perm], i) =>
    twice(i, (turn) => operatorCase("Transpose", [values(shape, turn)], { perm }, exact)),
  ),
  ...joins.flatMap(([shapes, axis], i) =>
    twice(i, (turn) => {
      const inputs = shapes.map((shape, k) => values(shape, turn, `part ${k}`));
      return operatorCase("Concat", inputs, { axis }, exact);
    }),
  ),
  ...splits.flatMap(([shape, axis, sizes], i) =>
    twice(i, (turn) => operatorCase("Split", [values(shape, turn)], { axis, sizes }, exact)),
  ),
  ...slices.flatMap(([shape, axis, start, end], i) =>
    twice(i, (turn) => operatorCase("Slice", [values(shape, turn)], { axis, start, end }, exact)),
  ),
  ...pads.flatMap(([shape, axis, before, after], i) =>
    twice(i, (turn) => operatorCase("Pad", [values(shape, turn)], { axis, before, after }, exact)),
  ),
  ...expands.flatMap(([from, shape], i) =>
    twice(i, (turn) => operatorCase("Expand", [values(from, turn)], { shape }, exact)),
  ),
];
