/**
 * Local and global attention are the two summands of mixed chunk attention, padded or not; their gradients on the
 * engine.
 */
import { afterAll, describe, expect, it } from "vitest";
import { interpret } from "../../test/reference/interpreter.ts";
import { expectClose } from "../../test/support/compare.ts";
import { randomKey, randomNormals } from "../base/random.ts";
import { sizeOf } from "../base/shape.ts";
import { gradients } from "../graph/gradients.ts";
import { program, verify } from "../graph/program.ts";
import { input, type Tensor } from "../graph/tensor.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { flash } from "./flash.ts";
import { angleTable } from "./positions.ts";
import { Scope } from "./scope.ts";
import { Visibility } from "./visibility.ts";

const [B, d, s, e, chunk] = [2, 6, 4, 12, 8];
const unit = { width: d, expanded: e, shared: s, norm: "scale", chunk } as const;

const engine = ortNodeEngine();
afterAll(() => engine.close());

const random = (name: string, size: number) => randomNormals(randomKey(5, name), size, 0.5);

/** The layer's output for parameters that are named and drawn alike; `rows` of gamma and beta are this layer's own. */
function outputOf(layer: (scope: Scope, x: Tensor) => Tensor, T: number, rows: number[], more: object) {
  const scope = new Scope();
  const y = layer(scope, input("x", [B, T, d]));
  const values: Record<string, Float32Array> = { x: random(`x ${T}`, B * T * d), ...more };
  for (const { path, shape } of scope.parameters) {
    if (!path.startsWith("heads.")) values[path] = random(path, sizeOf(shape));
    else
      values[path] = Float32Array.from(
        rows.flatMap((row) => [...random(path, 4 * s).subarray(row * s, (row + 1) * s)]),
      );
  }
  return { y: interpret(program("test", { y }), values).y.data, values };
}

describe.each([
  [5, true],
  [8, false],
  [29, true],
  [29, false],
])("%i tokens, causal %s", (T, causal) => {
  const part = (attention: "mixed" | "local" | "global", masked: boolean) => (scope: Scope, x: Tensor) => {
    const visibility = new Visibility({ causal, mask: masked ? input("mask", [B, T]) : undefined });
    return flash({ ...unit, attention }).forward(scope, x, { rotations: angleTable(T, s), visibility });
  };

  it.each([false, true])("local and global add up to mixed, padding %s", (masked) => {
    const more = masked ? { mask: Float32Array.from({ length: B * T }, (_, at) => Number(at % T < T - 3)) } : {};
    const whole = outputOf(part("mixed", masked), T, [0, 1, 2, 3], more);
    const local = outputOf(part("local", masked), T, [0, 1], more).y;
    const global = outputOf(part("global", masked), T, [2, 3], more).y;
    const { x, "out.bias": bias } = whole.values;
    const sum = local.map((value, i) => value + global[i] - x[i] - bias[i % d]);
    expectClose(sum, whole.y, { name: "y", tolerance: 1e-12 });
    const nothingBefore = causal && T <= chunk;
    expect(local.every((value, i) => value === whole.y[i])).toBe(nothingBefore);
  });

  it.each(["local", "global"] as const)(
    "%s has the same gradients on the engine as by its definition",
    async (name) => {
      const scope = new Scope();
      const y = part(name, false)(scope, input("x", [B, T, d]));
      const paths = scope.parameters.map(({ path }) => path);
      const wrt = scope.parameters.map(({ tensor }) => tensor);
      const found = gradients(y, wrt, input("cotangent", y.shape));
      const graph = program(name, { y, ...Object.fromEntries(paths.map((path, i) => [`d ${path}`, found[i]])) });
      verify(graph);
      const values: Record<string, Float32Array> = {
        x: random(`x ${T}`, y.size),
        cotangent: random("cotangent", y.size),
      };
      for (const { path, shape } of scope.parameters) values[path] = random(path, sizeOf(shape));
      const compiled = await engine.compile(graph);
      const actual = await compiled.run(values);
      for (const [output, { data, shape }] of Object.entries(interpret(graph, values)))
        expectClose(actual[output], data, { name: output, tolerance: 1e-5, shape });
      await compiled.release();
    },
  );
});
