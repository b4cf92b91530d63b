/** Cases of reading and adding by index: repeated, absent and empty indices, every axis, and enough to show a race. */
import type { Shape } from "../../../src/base/shape.ts";
import { booleans, type Case, floats, integers, operatorCase } from "../case.ts";

const exact = { exact: true };

const tables: readonly (readonly [Shape, Shape])[] = [
  [[4], []],
  [[4], [6]],
  [[4, 3], [5]],
  [
    [4, 3],
    [2, 3],
  ],
  [[1, 3], [4]],
  [
    [4, 1],
    [2, 1, 2],
  ],
  [
    [3, 2, 2],
    [2, 2],
  ],
  [[3, 2, 1, 2, 1], []],
  [[3, 2], [0]],
  [[3, 0], [2]],
];

/** Shapes of the data and of the indices; off the axis the indices may be fewer. */
const elements: readonly (readonly [Shape, Shape, number])[] = [
  [[5], [3], 0],
  [[1], [4], 0],
  [[4, 3], [6, 3], 0],
  [[4, 3], [2, 2], 0],
  [[2, 5], [2, 3], 1],
  [[3, 5], [1, 8], 1],
  [[2, 3, 2], [2, 4, 1], 1],
  [[1, 2, 1, 2, 4], [1, 2, 1, 1, 3], 4],
  [[4, 3], [0, 3], 0],
  [[4, 3], [2, 0], 0],
];

export const indexingCases: readonly Case[] = [
  ...tables.flatMap(([shape, rows]) => [
    operatorCase("Gather", [floats(shape), integers(rows, 0, shape[0] - 1)], { axis: 0 }, exact),
    operatorCase("Gather", [integers(shape, -9, 9), integers(rows, 0, shape[0] - 1)], { axis: 0 }, exact),
  ]),
  operatorCase("Gather", [booleans([3, 2]), integers([4], 0, 2)], { axis: 0 }, exact),
  ...elements.flatMap(([shape, at, axis]) => {
    const indices = integers(at, 0, shape[axis] - 1);
    return [
      operatorCase("GatherElements", [floats(shape), indices], { axis }, exact),
      operatorCase("GatherElements", [integers(shape, -9, 9), indices], { axis }, exact),
      operatorCase("ScatterElements", [floats(shape, "x"), indices, floats(at, "updates")], { axis }),
      operatorCase(
        "ScatterElements",
        [floats(shape, "x"), integers(at, 0, 0), floats(at, "updates")],
        { axis },
        { note: "all to one place" },
      ),
    ];
  }),
  operatorCase(
    "ScatterElements",
    [floats([7, 64], "x"), integers([2000, 64], 0, 6), floats([2000, 64], "updates")],
    { axis: 0 },
    { note: "many repeats", smooth: false },
  ),
];
