/** The definitions themselves, on examples worked by hand or taken from the ONNX specification. */
import { describe, expect, it } from "vitest";
import { program } from "../../src/graph/program.ts";
import { constant, input, type Tensor } from "../../src/graph/tensor.ts";
import { erf } from "./elementwise.ts";
import { interpret } from "./interpreter.ts";

function floats(data: readonly number[], shape: readonly number[]): Tensor {
  return constant(Float32Array.from(data), shape);
}

function integers(data: readonly number[], shape: readonly number[]): Tensor {
  return constant(Int32Array.from(data), shape);
}

function valuesOf(y: Tensor): number[] {
  return [...interpret(program("test", { y }), {}).y.data];
}

const x = floats([1, 2, 3, 4, 5, 6], [2, 3]);

const examples: readonly (readonly [string, Tensor, readonly number[]])[] = [
  ["Add broadcasts a row", x.add(floats([10, 20, 30], [3])), [11, 22, 33, 14, 25, 36]],
  ["Sub broadcasts a column", x.sub(floats([1, 2], [2, 1])), [0, 1, 2, 2, 3, 4]],
  ["Sub of a row and a column", floats([1, 2], [2]).sub(floats([0, 10], [2, 1])), [1, 2, -9, -8]],
  ["Div of integers goes towards zero", integers([-7, 7, -1], [3]).div(2), [-3, 3, -0]],
  ["Mul of integers wraps", integers([2 ** 30], [1]).mul(4), [0]],
  ["Max", floats([-1, 2], [2]).max(-1.5), [-1, 2]],
  ["Min", floats([1, 2], [2]).min(1.5), [1, 1.5]],
  ["Where", x.less(3).where(x, x.neg()), [1, 2, -3, -4, -5, -6]],
  ["And, Not", x.less(5).and(x.less(2).not()).cast("int32"), [0, 1, 1, 1, 0, 0]],
  ["Equal", x.equal(floats([1, 5, 3], [3])).cast("float32"), [1, 0, 1, 0, 1, 0]],
  ["Cast to int32 cuts the fraction", floats([-1.7, 1.7], [2]).cast("int32"), [-1, 1]],
  ["ReduceSum over rows", x.sum([0]), [5, 7, 9]],
  ["ReduceSum over nothing", floats([], [0, 2]).sum([0]), [0, 0]],
  ["ReduceMean over columns", x.mean([1]), [2, 5]],
  ["ReduceMax of negative numbers", x.neg().maximum([0, 1]), [-1]],
  ["CumSum", x.cumsum(1), [1, 3, 6, 4, 9, 15]],
  ["CumSum exclusive", x.cumsum(1, { exclusive: true }), [0, 1, 3, 0, 4, 9]],
  ["CumSum reverse", x.cumsum(0, { reverse: true }), [5, 7, 9, 4, 5, 6]],
  ["CumSum reverse and exclusive", x.cumsum(1, { reverse: true, exclusive: true }), [5, 3, 0, 11, 6, 0]],
  ["Softmax of equal numbers", floats([7, 7, 7, 7], [1, 4]).softmax(), [0.25, 0.25, 0.25, 0.25]],
  ["MatMul", x.matmul(floats([1, 0, 0, 1, 1, 1], [3, 2])), [4, 5, 10, 11]],
  ["MatMul broadcasts batches", floats([1, 2], [2, 1, 1]).matmul(floats([3, 4], [1, 2])), [3, 4, 6, 8]],
  ["Transpose", x.swapLast(), [1, 4, 2, 5, 3, 6]],
  ["Concat along the last axis", x.concat([floats([0, 9], [2, 1])], 1), [1, 2, 3, 0, 4, 5, 6, 9]],
  ["Split", x.split(1, [1, 2])[1], [2, 3, 5, 6]],
  ["Slice", x.slice(1, 1, 2), [2, 5]],
  ["Pad", x.slice(0, 0, 1).pad(1, 1, 2), [0, 1, 2, 3, 0, 0]],
  ["Expand", floats([1, 2], [2, 1]).expand([2, 2, 2]), [1, 1, 2, 2, 1, 1, 2, 2]],
  ["Gather", x.gather(integers([1, 1, 0], [3])), [4, 5, 6, 4, 5, 6, 1, 2, 3]],
  ["GatherElements", floats([1, 2, 3, 4], [2, 2]).gatherElements(1, integers([0, 0, 1, 0], [2, 2])), [1, 1, 4, 3]],
  [
    "ScatterElements adds repeated indices",
    floats([1, 2, 3, 4, 5], [1, 5]).scatterAdd(1, integers([1, 1], [1, 2]), floats([1.5, 2], [1, 2])),
    [1, 5.5, 3, 4, 5],
  ],
  ["NaN is equal to nothing", floats([Number.NaN, 1], [2]).equal(1).cast("int32"), [0, 1]],
];

it.each(examples)("%s", (_, y, expected) => expect(valuesOf(y)).toEqual(expected));

it("erf to the last digits", () => {
  // Abramowitz and Stegun, table 7.1, and erfc(3) = 2.209049699858544e-5.
  expect(erf(0)).toBe(0);
  expect(erf(0.5)).toBeCloseTo(0.5204998778130465, 15);
  expect(erf(1)).toBeCloseTo(0.8427007929497149, 15);
  expect(erf(-2)).toBeCloseTo(-0.9953222650189527, 15);
  expect(1 - erf(3)).toBeCloseTo(2.209049699858544e-5, 15);
  expect(erf(7)).toBe(1);
});

describe("inputs", () => {
  const graph = program("test", { y: input("x", [2]).add(input("z", [])) });
  it("are read as float64", () =>
    expect([...interpret(graph, { x: [0.1, 0.2], z: [0.3] }).y.data]).toEqual([0.4, 0.5]));
  it("must be there", () => expect(() => interpret(graph, { x: [1, 2] })).toThrow("input z: missing"));
  it("must be known", () => expect(() => interpret(graph, { x: [1, 2], z: [1], w: [1] })).toThrow("input w: unknown"));
  it("must have their length", () =>
    expect(() => interpret(graph, { x: [1], z: [1] })).toThrow("input x: expected 2 elements, got 1"));
  it("must lie inside the axis when they are indices", () => {
    for (const index of [-1, 2]) {
      const y = x.gather(input("i", [1], "int32"));
      expect(() => interpret(program("test", { y }), { i: [index] })).toThrow(`index ${index} of an axis of 2`);
    }
  });
});
