/**
 * Relative biases: the matrix of a Toeplitz bias, and that of either kind a query's distance from its key is all that
 * counts.
 */
import { describe, expect, it } from "vitest";
import { interpret } from "../../test/reference/interpreter.ts";
import { expectClose } from "../../test/support/compare.ts";
import { randomKey, randomNormals } from "../base/random.ts";
import { program } from "../graph/program.ts";
import { input } from "../graph/tensor.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { angles, anglesAt, ROTARY_BIAS_FROM, relativeBias, toeplitz } from "./positions.ts";
import { Scope } from "./scope.ts";

describe("the relative bias", () => {
  const s = 6;
  it.each([1, 7, ROTARY_BIAS_FROM - 1, ROTARY_BIAS_FROM, 700])("depends on the distance alone, length %d", (length) => {
    const rotary = length >= ROTARY_BIAS_FROM;
    const values = Object.fromEntries(
      (rotary ? ["a", "b"] : ["weight"]).map((name) => [
        name,
        randomNormals(randomKey(1, name), name === "weight" ? 2 * length - 1 : s),
      ]),
    );
    const matrix = program("bias", { bias: relativeBias(new Scope(), length, length, s) });
    const { data } = interpret(matrix, values).bias;
    const byDistance = data.map((_, at) => {
      const distance = Math.floor(at / length) - (at % length);
      return distance < 0 ? data[-distance] : data[distance * length];
    });
    expectClose(data, byDistance, { name: "bias", tolerance: 1e-6 });
    if (!rotary) expect([...data.subarray(0, length)]).toEqual([...values.weight.subarray(length - 1)]);
  });
});

describe("toeplitz", () => {
  it.each([1, 2, 3, 6])("of %d rows holds w by diagonals", (n) => {
    const w = Float32Array.from({ length: 2 * n - 1 }, (_, i) => i + 1);
    const matrix = interpret(program("toeplitz", { y: toeplitz(input("w", [w.length])) }), { w }).y;
    expect(matrix.shape).toEqual([n, n]);
    const wanted = Array.from({ length: n * n }, (_, at) => w[(at % n) - Math.floor(at / n) + n - 1]);
    expect([...matrix.data]).toEqual(wanted);
  });
});

describe("angles of a position that is an input", () => {
  const half = 64;

  it.each([1, 48])("are those of the host, of %d tokens", async (count) => {
    const { cos, sin } = anglesAt(input("position", [1], "int32"), count, half);
    const engine = ortNodeEngine({ threads: 1 });
    const compiled = await engine.compile(program("angles", { cos, sin }));
    for (const position of [0, 1, 63, 64, 4_095, 100_000, 1_000_000, 2 ** 24 - count]) {
      const found = await compiled.run({ position: Int32Array.of(position) });
      const wanted = angles(position, count, half); // float64, rounded once
      for (const part of ["cos", "sin"] as const) {
        const furthest = Math.max(
          ...wanted[part].map((value, i) => Math.abs(value - (found[part] as Float32Array)[i])),
        );
        expect(furthest, `${part} at ${position}`).toBeLessThan(5e-7);
      }
    }
    await engine.close();
  });
});
