/**
 * Gradients against central differences: each operator, compositions, second derivatives; and what the walk promises.
 */
import { describe, expect, it } from "vitest";
import type { Case } from "../../test/conformance/case.ts";
import { cases } from "../../test/conformance/cases.ts";
import { functions } from "../../test/conformance/functions.ts";
import { interpret } from "../../test/reference/interpreter.ts";
import { expectClose } from "../../test/support/compare.ts";
import { expectGradients, type TestFunction } from "../../test/support/differences.ts";
import { LonghandError } from "../base/errors.ts";
import { gradients } from "./gradients.ts";
import { type AttributesOf, operatorNames, operators } from "./ops/index.ts";
import { program, verify } from "./program.ts";
import { applyAll, input, type Tensor, withGradient } from "./tensor.ts";

const differentiable = operatorNames.filter((name) => typeof operators[name].gradient === "function");

/** Values of a tensor under inputs that it may or may not use. */
function evaluate(tensor: Tensor, inputs: Record<string, ArrayLike<number>> = {}): number[] {
  const graph = program("test", { tensor });
  const used = Object.fromEntries(Object.entries(inputs).filter(([name]) => graph.inputs.has(name)));
  return [...interpret(graph, used).tensor.data];
}

function asFunction({ name, operator, attributes, inputs }: Case): TestFunction {
  return {
    name,
    inputs: numberedValues(inputs),
    build: (x) => applyAll(operator, Object.values(x), attributes as AttributesOf<typeof operator>),
  };
}

function numberedValues<T>(values: readonly T[]): Record<string, T> {
  return Object.fromEntries(values.map((value, i) => [`x${i}`, value]));
}

describe("each operator against central differences", () => {
  for (const name of differentiable) {
    const smooth = cases.filter((c) => c.operator === name && c.smooth && c.inputs.every((x) => isSmall(x.shape)));
    const floating = smooth.filter((c) => c.inputs.some((x) => x.dtype === "float32"));
    it(`${name}: ${floating.length} cases`, () => {
      expect(floating.length).toBeGreaterThanOrEqual(4);
      for (const tested of floating) expectGradients(asFunction(tested));
    });
  }

  function isSmall(shape: readonly number[]): boolean {
    return shape.reduce((a, b) => a * b, 1) <= 200;
  }
});

describe("compositions against central differences", () => {
  it.each(functions)("$name", (tested) => expectGradients(tested));
});

describe("second derivatives against central differences", () => {
  const twice = functions.map(
    ({ name, inputs, build }): TestFunction => ({
      name,
      inputs,
      build(x) {
        const [first] = build(x);
        const wrt = Object.values(x).filter((t) => t.dtype === "float32");
        return gradients(first.mul(first), wrt, first.sin());
      },
    }),
  );
  it.each(twice)("$name", (tested) => expectGradients(tested, 1e-5));
});

describe("ties", () => {
  it("of Max and Min give the whole gradient to the first input", () => {
    const [a, b] = [input("a", [3]), input("b", [3])];
    const inputs = { a: [1, 2, 3], b: [2, 2, 2] };
    const one = a.constant(1).expand([3]);
    expect(gradients(a.max(b), [a, b], one).map((g) => evaluate(g, inputs))).toEqual([
      [0, 1, 1],
      [1, 0, 0],
    ]);
    expect(gradients(a.min(b), [a, b], one).map((g) => evaluate(g, inputs))).toEqual([
      [1, 1, 0],
      [0, 0, 1],
    ]);
  });

  it("of ReduceMax share the gradient", () => {
    const x = input("x", [2, 3]);
    const [g] = gradients(x.maximum([1]), [x], input("g", [2, 1]));
    expect(evaluate(g, { x: [1, 4, 4, 7, 7, 7], g: [6, 6] })).toEqual([0, 3, 3, 2, 2, 2]);
  });

  it("of Relu at zero give zero", () => {
    const x = input("x", [3]);
    expect(evaluate(gradients(x.relu(), [x], input("g", [3]))[0], { x: [-1, 0, 1], g: [5, 5, 5] })).toEqual([0, 0, 5]);
  });
});

describe("the walk", () => {
  it("gives zeros of the right shape for tensors that are not used", () => {
    const [x, unused] = [input("x", [2]), input("unused", [3, 2])];
    const [, g] = gradients(x.sum([0]), [x, unused]);
    expect(g.shape).toEqual([3, 2]);
    expect(evaluate(g)).toEqual([0, 0, 0, 0, 0, 0]);
  });

  it("takes a tensor of `wrt` as a leaf: nothing flows through it", () => {
    const x = input("x", []);
    const h = x.mul(x);
    const y = h.mul(3).add(x.mul(5));
    expect(gradients(y, [h, x]).map((g) => evaluate(g, { x: [2] }))).toEqual([[3], [5]]);
    expect(gradients(y, [x]).map((g) => evaluate(g, { x: [2] }))).toEqual([[17]]);
    expect(gradients(h.mul(3), [h, x]).map((g) => evaluate(g, { x: [2] }))).toEqual([[3], [0]]);
  });

  it("takes one output of a node as a leaf and passes through the other", () => {
    const x = input("x", [3]);
    const [a, b] = x.split(0, [1, 2]);
    const found = gradients(a.mul(b).sum([0]), [a, x]);
    expect(found.map((g) => evaluate(g, { x: [2, 3, 4] }))).toEqual([[7], [0, 2, 2]]);
  });

  it("gives the cotangent itself to y, and the same gradient to a tensor asked for twice", () => {
    const [x, c] = [input("x", [2]), input("c", [2])];
    expect(gradients(x, [x, x], c)).toEqual([c, c]);
  });

  it("fills missing gradients of the other outputs with zeros", () => {
    const x = input("x", [5]);
    const [, middle] = x.split(0, [1, 2, 2]);
    expect(evaluate(gradients(middle.mul(2), [x], input("g", [2]))[0], { g: [1, 10] })).toEqual([0, 2, 20, 0, 0]);
  });

  it("accepts one element of any rank as a scalar", () => {
    const x = input("x", [1, 1]);
    const [g] = gradients(x.mul(3), [x]);
    expect(g.shape).toEqual([1, 1]);
    expect(evaluate(g)).toEqual([3]);
  });

  it("counts every path of a graph with exponentially many", () => {
    const x = input("x", []);
    let y = x;
    for (let i = 0; i < 50; i++) y = y.add(y);
    const [g] = gradients(y, [x]);
    expect(evaluate(g)).toEqual([2 ** 50]);
    expect(program("paths", { g }).nodes.length).toBeLessThan(60);
  });

  it("does not overflow the stack at a depth of 20,000 nodes", () => {
    const x = input("x", []);
    let y = x;
    for (let i = 0; i < 10_000; i++) y = y.mul(x).sub(y.constant(1));
    const [g] = gradients(y, [x]);
    const graph = program("deep", { y, g });
    verify(graph);
    expectClose(interpret(graph, { x: [0] }).g.data, [-1], { name: "deep", tolerance: 0 });
  });
});

describe("a custom VJP", () => {
  it("replaces the derived one", () => {
    const x = input("x", [2]);
    const y = withGradient(x.mul(2), [x], (g) => [g.mul(100)]);
    expect(evaluate(gradients(y.mul(3), [x], input("g", [2]))[0], { g: [1, 2] })).toEqual([300, 600]);
  });

  it("can reach past what the output was computed from", () => {
    const [x, w] = [input("x", [2]), input("w", [2])];
    const product = x.mul(w);
    const y = withGradient(product.exp(), [x, w], (g) => [g, undefined]);
    const found = gradients(y, [x, w, product], input("g", [2]));
    expect(found.map((g) => evaluate(g, { g: [3, 4] }))).toEqual([
      [3, 4],
      [0, 0],
      [0, 0],
    ]);
  });

  it("carries a gradient across an operator that has none", () => {
    const x = input("x", [3]);
    const rounded = withGradient(x.cast("int32").cast("float32"), [x], (g) => [g]);
    expect(evaluate(gradients(rounded, [x], input("g", [3]))[0], { g: [1, 2, 3] })).toEqual([1, 2, 3]);
  });

  it("is refused where it could be lost or run in a circle", () => {
    const x = input("x", [4]);
    const y = x.exp();
    expect(() => withGradient(x, [x], (g) => [g])).toThrow(/^withGradient: .*got x|^withGradient: .*float32\[4\]/);
    expect(() => withGradient(y, [y], (g) => [g])).toThrow(/^withGradient: /);
    expect(() => withGradient(x.split(0, [2, 2])[0], [x], (g) => [g])).toThrow(/^withGradient: /);
  });
});

describe("errors", () => {
  it("name the operator that has no gradient, and why", () => {
    const x = input("x", [3]);
    const g = input("g", [3]);
    const broken = () => gradients(x.cast("int32").cast("float32"), [x], g);
    expect(broken).toThrow(LonghandError);
    expect(broken).toThrow("Cast(int32[3]) has no gradient: it leaves or enters the integers");
    expect(() => gradients(x.less(0), [x], g)).toThrow(
      "Less(float32[3], float32[]) has no gradient: its output is no continuous function of its inputs",
    );
  });

  it("do not arise off the path", () => {
    const [x, flag] = [input("x", [2]), input("flag", [2])];
    const y = flag.less(0).where(x, x.neg()).mul(flag.less(1).cast("float32"));
    expect(evaluate(gradients(y, [x], input("g", [2]))[0], { flag: [-1, 0.5], g: [1, 1] })).toEqual([1, -1]);
  });

  it("ask for a scalar or a cotangent of the right shape", () => {
    const x = input("x", [2, 3]);
    expect(() => gradients(x.exp(), [x])).toThrow("gradients: expected a scalar or a cotangent, got float32[2, 3]");
    expect(() => gradients(x.exp(), [x], input("g", [3, 2]))).toThrow(
      "gradients: the cotangent is [3, 2], expected [2, 3]",
    );
  });

  it("leave out no operator: each has a rule or a reason", () => {
    const without = operatorNames.filter((name) => !differentiable.includes(name));
    expect(without).toEqual(["Less", "Equal", "And", "Not", "Cast"]);
  });
});
