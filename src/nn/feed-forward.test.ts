/** GELU against the normal distribution and central differences; the whole network is in the golden cases. */
import { describe, expect, it } from "vitest";
import { floats } from "../../test/conformance/case.ts";
import { interpret } from "../../test/reference/interpreter.ts";
import { expectGradients } from "../../test/support/differences.ts";
import { program } from "../graph/program.ts";
import { input } from "../graph/tensor.ts";
import { feedForward, gelu } from "./feed-forward.ts";
import { Scope } from "./scope.ts";

describe("GELU", () => {
  it("has the values of the normal distribution", () => {
    const x = [-3, -1, -0.5, 0, 0.5, 1, 3];
    const { y } = interpret(program("gelu", { y: gelu(input("x", [x.length])) }), { x });
    const wanted = [
      -0.0040496940946, -0.1586552539315, -0.1542687693695, 0, 0.3457312306305, 0.8413447460685, 2.9959503059054,
    ];
    for (const [i, value] of wanted.entries()) expect(y.data[i]).toBeCloseTo(value, 6);
  });

  it("has the gradient of central differences", () => {
    expectGradients({ name: "gelu", inputs: { x: floats([3, 7], "x", 2) }, build: ({ x }) => [gelu(x)] });
  });
});

describe.each([true, false])("the feed-forward network, gated %s", (gated) => {
  it("has the parameters of its form", () => {
    const scope = new Scope();
    const y = feedForward(scope, input("x", [1, 3, 4]), { inner: 6, gated });
    expect(y.shape).toEqual([1, 3, 4]);
    const shapes = Object.fromEntries(scope.parameters.map(({ path, shape }) => [path, shape]));
    expect(shapes).toEqual({
      "up.weight": [4, 6],
      "up.bias": [6],
      ...(gated ? { "gate.weight": [4, 6], "gate.bias": [6] } : {}),
      "down.weight": [6, 4],
      "down.bias": [4],
    });
  });
});
