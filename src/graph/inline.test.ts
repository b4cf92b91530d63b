import { expect, it } from "vitest";
import { interpret } from "../../test/reference/interpreter.ts";
import { inlined } from "./inline.ts";
import { print, program } from "./program.ts";
import { input } from "./tensor.ts";

it("puts other tensors in place of inputs and leaves the rest", () => {
  const [a, b] = ["a", "b"].map((name) => input(name, [2]));
  const [first, second] = a.mul(b).add(1).split(0, [1, 1]);
  const part = program("part", { first, second, same: b });
  const c = input("c", [2]);
  const { first: x, second: y, same } = inlined(part, { a: c.mul(c) });
  expect(same).toBe(b);
  const whole = program("whole", { y: x.sub(y) });
  expect([...whole.inputs.keys()].sort()).toEqual(["b", "c"]);
  expect(print(whole)).toContain("Split");
  const { data } = interpret(whole, { b: Float32Array.of(2, 3), c: Float32Array.of(4, 5) }).y;
  expect([...data]).toEqual([2 * 16 - 3 * 25]);
});

it("refuses a tensor of another type, also one that would be broadcast", () => {
  const part = program("part", { y: input("a", [1, 2]).matmul(input("b", [2, 3])) });
  expect(() => inlined(part, { a: input("c", [5]) })).toThrow(
    /program part, input a: expected .*\[1, 2\], got .*\[5\]/,
  );
  const sum = program("sum", { y: input("a", [4]).add(input("b", [4])) });
  expect(() => inlined(sum, { a: input("c", [1]) })).toThrow(/program sum, input a/);
});
