/** Building: what the shorthands return, and that a wrong shape throws where it was written, with names and shapes. */
import { describe, expect, it } from "vitest";
import { LonghandError } from "../base/errors.ts";
import { applyAll, constant, input, scalar, type Tensor } from "./tensor.ts";

const x = input("x", [2, 3]);
const w = input("layers.0.w", [4, 5]);
const ids = input("ids", [2, 3], "int32");
const flag = input("flag", [2, 3], "bool");

const mistakes: readonly (readonly [string, () => unknown])[] = [
  ["MatMul(x float32[2, 3], layers.0.w float32[4, 5]): inner sizes differ", () => x.matmul(w)],
  [
    "MatMul(float32[3, 2, 3], float32[2, 3, 4]): leading axes do not broadcast",
    () => x.expand([3, 2, 3]).matmul(scalar(0).expand([2, 3, 4])),
  ],
  ["Add(x float32[2, 3], layers.0.w float32[4, 5]): shapes do not broadcast", () => x.add(w)],
  ["Mul(x float32[2, 3], ids int32[2, 3]): expected float32, got int32", () => x.mul(ids)],
  ["Exp(ids int32[2, 3]): expected float32, got int32", () => ids.exp()],
  ["And(x float32[2, 3], flag bool[2, 3]): expected bool, got float32", () => x.and(flag)],
  ["Where(x float32[2, 3], x float32[2, 3], x float32[2, 3]): expected bool, got float32", () => x.where(x, x)],
  ["Where(flag bool[2, 3], flag bool[2, 3], flag bool[2, 3]): expected float32 or int32", () => flag.where(flag, flag)],
  ["Reshape(x float32[2, 3]): cannot become [4, 2]: another number of elements", () => x.reshape([4, 2])],
  ["Reshape(x float32[2, 3]): cannot become [4, 1.5]", () => x.reshape([4, -1])],
  ["Transpose(x float32[2, 3]): [1, 1] is no permutation of the axes", () => x.transpose([1, 1])],
  ["Concat(x float32[2, 3], layers.0.w float32[4, 5]): shapes differ off the axis", () => x.concat([w], 0)],
  ["Concat(x float32[2, 3], ids int32[2, 3]): element types differ", () => x.concat([ids], 0)],
  ["Split(x float32[2, 3]): parts of [1, 1] do not make up axis 1", () => x.split(1, [1, 1])],
  ["Slice(x float32[2, 3]): range 1 … 4 lies outside axis 1", () => x.slice(1, 1, 4)],
  ["Pad(x float32[2, 3]): padding -1 and 0: expected non-negative integers", () => x.pad(0, -1, 0)],
  ["Expand(x float32[2, 3]): does not expand to [2, 4]", () => x.expand([2, 4])],
  ["Gather(x float32[2, 3], layers.0.w float32[4, 5]): expected int32, got float32", () => x.gather(w)],
  [
    "GatherElements(layers.0.w float32[4, 5], int32[2]): indices must have",
    () => w.gatherElements(0, ids.slice(0, 0, 1).reshape([3]).slice(0, 0, 2)),
  ],
  ["ScatterElements(x float32[2, 3], ids int32[2, 3], layers.0.w float32[4, 5]): ", () => x.scatterAdd(0, ids, w)],
  ["Softmax(x float32[2, 3]): expected the last axis, got 0", () => x.softmax(0)],
  [
    "ReduceMax(float32[2, 0]): expected elements along the reduced axes, got an empty axis",
    () => x.slice(1, 0, 0).maximum([1]),
  ],
  ["ReduceSum(x float32[2, 3]): no axis 2", () => applyAll("ReduceSum", [x], { axes: [2] })],
  ["ReduceMean(x float32[2, 3]): expected at least one axis", () => applyAll("ReduceMean", [x], { axes: [] })],
  ["axis: expected an integer from -2 to 1, got 2", () => x.sum([2])],
  ["input x: expected non-negative integer sizes, got [2, -1]", () => input("x", [2, -1])],
  ["input x: expected non-negative integer sizes, got [2.5]", () => input("x", [2.5])],
  ["constant: expected 6 elements for [2, 3], got 5", () => constant(new Float32Array(5), [2, 3])],
];

describe("a mistake throws where it is written", () => {
  it.each(mistakes)("%s", (message, make) => {
    expect(make).toThrow(LonghandError);
    expect(make).toThrow(message);
  });

  it("with a stable code", () => {
    expect(() => x.add(w)).toThrow(expect.objectContaining({ code: "graph" }));
  });
});

describe("shorthands that change nothing add no node", () => {
  const unchanged: readonly (readonly [string, Tensor])[] = [
    ["reshape", x.reshape([2, -1])],
    ["transpose", x.transpose([0, 1])],
    ["expand", x.expand([2, 3])],
    ["slice", x.slice(1, 0, 3)],
    ["pad", x.pad(0, 0, 0)],
    ["cast", x.cast("float32")],
    ["concat", x.concat([], 0)],
    ["split", x.split(0, [2])[0]],
    ["sum", x.sum([])],
    ["mean", x.mean([])],
    ["maximum", x.maximum([])],
  ];
  it.each(unchanged)("%s", (_, y) => expect(y).toBe(x));
});

describe("shapes", () => {
  it("count axes from the end when negative", () => {
    expect(x.sum([-1]).shape).toEqual([2, 1]);
    expect(x.cumsum(-2).node).toMatchObject({ attributes: { axis: 0 } });
    expect(x.concat([x], -1).shape).toEqual([2, 6]);
  });

  it("keep the element type of integers and of conditions", () => {
    expect(ids.add(1).dtype).toBe("int32");
    expect(ids.less(ids).dtype).toBe("bool");
    expect(flag.where(ids, ids.constant(0)).dtype).toBe("int32");
    expect(x.gather(ids).shape).toEqual([2, 3, 3]);
  });
});
