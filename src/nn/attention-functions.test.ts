/**
 * The attention functions on the engine, in float32: what is hidden has weight and slope 0 exactly; Laplace by its
 * formula.
 */
import { afterAll, describe, expect, it } from "vitest";
import { floats } from "../../test/conformance/case.ts";
import { erf } from "../../test/reference/elementwise.ts";
import { interpret } from "../../test/reference/interpreter.ts";
import { expectClose } from "../../test/support/compare.ts";
import { gradients } from "../graph/gradients.ts";
import { program } from "../graph/program.ts";
import { constant, input } from "../graph/tensor.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { attend, attentionFunctionNames, laplace, weightsOf } from "./attention-functions.ts";
import { hiddenWhereZero } from "./visibility.ts";

const engine = ortNodeEngine({ threads: 1 });
afterAll(() => engine.close());

describe.each(attentionFunctionNames)("%s", (kind) => {
  it("gives the future and padding no weight, and neither a gradient", async () => {
    const n = 4;
    const scores = input("scores", [n, n]);
    const future = Float32Array.from({ length: n * n }, (_, i) => (i % n > Math.floor(i / n) ? -1e30 : 0));
    const padding = hiddenWhereZero(constant(Float32Array.of(1, 0, 1, 1), [1, n]));
    const hidden = scores.add(constant(future, [n, n]).add(padding));
    const identity = constant(
      Float32Array.from({ length: n * n }, (_, i) => Number(i % (n + 1) === 0)),
      [n, n],
    );
    const weights = attend(kind, hidden, identity);
    const [slopes] = gradients(weights, [scores], input("g", [n, n]));
    const compiled = await engine.compile(program("weights", { weights, slopes }));
    const actual = await compiled.run({ scores: floats([n, n], "scores").data, g: floats([n, n], "g").data });
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        const { weights, slopes } = actual as Record<string, Float32Array>;
        if (j > i || j === 1) expect([weights[i * n + j], Math.abs(slopes[i * n + j])], `${i} ${j}`).toEqual([0, 0]);
      }
    }
    expect(actual.weights.some((weight) => weight > 0)).toBe(true);
    expect(actual.slopes.every(Number.isFinite)).toBe(true);
    await compiled.release();
  });

  it("has the same weights for a few new tokens", () => {
    const scores = input("scores", [2, 4]);
    const identity = constant(
      Float32Array.from({ length: 16 }, (_, i) => Number(i % 5 === 0)),
      [4, 4],
    );
    const graph = program("few", { whole: attend(kind, scores, identity), few: weightsOf(kind, scores) });
    const { whole, few } = interpret(graph, { scores: floats([2, 4], "scores").data });
    expectClose(few.data, whole.data, { name: "weights", tolerance: 1e-15 });
  });
});

describe("laplace", () => {
  const [mu, sigma] = [Math.sqrt(1 / 2), Math.sqrt(1 / (4 * Math.PI))];
  const x = input("x", [7]);
  const y = laplace(x);
  const graph = program("laplace", { y, slope: gradients(y, [x], x.constant(1).expand([7]))[0] });

  it("is Mega's, and meets squared ReLU in value and slope at mu", async () => {
    const values = Float32Array.of(-3, -0.5, 0, mu, 1, 1.5, 4);
    const compiled = await engine.compile(graph);
    const actual = await compiled.run({ x: values });
    const normal = (value: number) => (value - mu) / (sigma * Math.SQRT2);
    const expected = [...values].map((value) => 0.5 * (1 + erf(normal(value))));
    const slopes = [...values].map((value) => Math.exp(-(normal(value) ** 2)) / (sigma * Math.sqrt(2 * Math.PI)));
    expectClose(actual.y, expected, { name: "y", tolerance: 1e-6 });
    expectClose(actual.slope, slopes, { name: "slope", tolerance: 1e-6 });
    expect(actual.y[3]).toBeCloseTo(mu * mu, 6);
    expect(actual.slope[3]).toBeCloseTo(2 * mu, 5);
    await compiled.release();
  });
});
