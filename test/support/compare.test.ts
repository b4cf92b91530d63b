/** The comparison that all other tests trust. */
import { expect, it } from "vitest";
import { compare, expectClose } from "./compare.ts";

const shape = [2, 2];

it("measures the relative error in the Euclidean norm, and where the largest difference is", () => {
  expect(compare([3, 4.5], [3, 4])).toEqual({ relative: 0.1, largest: 0.5, at: 1 });
  expect(compare([], [])).toEqual({ relative: 0, largest: 0, at: -1 });
});

it("takes the error itself where zeros are expected", () => {
  expect(compare([3e-6, 4e-6], [0, 0]).relative).toBeCloseTo(5e-6, 15);
  expectClose([1e-7, 0], [0, 0], { name: "zero", tolerance: 1e-5 });
  expect(() => expectClose([1e-3, 0], [0, 0], { name: "zero", tolerance: 1e-5 })).toThrow(
    /^zero: relative error 1.00e-3/,
  );
});

it("accepts what is close enough, and equal values at tolerance 0", () => {
  expectClose([1, 2.00001], [1, 2], { name: "y", tolerance: 1e-5 });
  expectClose([1, -0], [1, 0], { name: "y", tolerance: 0 });
  expectClose([], [], { name: "empty", tolerance: 0 });
});

it("says name, relative error, largest absolute error, and where", () => {
  expect(() => expectClose([3, 0, 0, 4.5], [3, 0, 0, 4], { name: "gamma", tolerance: 1e-5, shape })).toThrow(
    "gamma: relative error 1.00e-1 exceeds 1.00e-5; largest absolute error 5.00e-1 at [1, 1]: expected 4, got 4.5",
  );
  expect(() => expectClose([1, 2], [1, 3], { name: "y", tolerance: 0 })).toThrow("at element 1: expected 3, got 2");
});

it("fails on NaN, infinity and another length, whatever the tolerance", () => {
  const loose = { name: "y", tolerance: 1e9 };
  expect(() => expectClose([1, Number.NaN], [1, 2], loose)).toThrow("y: not finite at element 1: expected 2, got NaN");
  expect(() => expectClose([1], [Number.NaN], loose)).toThrow("y: not finite at element 0");
  expect(() => expectClose([Number.POSITIVE_INFINITY], [Number.POSITIVE_INFINITY], loose)).toThrow("y: not finite");
  expect(() => expectClose([1], [1, 2], loose)).toThrow("y: expected 2 elements, got 1");
});
