/** The forms of positions that decoding uses, against those of training. */
import { describe, expect, it } from "vitest";
import { interpret } from "../../test/reference/interpreter.ts";
import { expectClose } from "../../test/support/compare.ts";
import { randomKey, randomNormals } from "../base/random.ts";
import { program } from "../graph/program.ts";
import { input } from "../graph/tensor.ts";
import { angles, hostBiasByDistance, ROTARY_BIAS_FROM, relativeBias, toeplitz } from "./positions.ts";
import { Scope } from "./scope.ts";

describe("the relative bias by distance", () => {
  const s = 6;
  it.each([1, 7, ROTARY_BIAS_FROM - 1, ROTARY_BIAS_FROM, 700])("is the matrix of training, length %d", (length) => {
    const values = Object.fromEntries(
      ["weight", "a", "b"].map((name) => [
        name,
        randomNormals(randomKey(1, name), name === "weight" ? 2 * length - 1 : s),
      ]),
    ) as { weight: Float32Array; a: Float32Array; b: Float32Array };
    const { weight, a, b } = values;
    const rotary = length >= ROTARY_BIAS_FROM;
    const matrix = program("bias", { bias: relativeBias(new Scope(), length, length, s) });
    const { bias } = interpret(matrix, rotary ? { a, b } : { weight });
    const row = bias.data.subarray((length - 1) * length); // the last query sees every distance, the farthest first
    const host = hostBiasByDistance(rotary ? { a, b } : { weight }, length, angles(0, length, s / 2));
    expectClose(host.reverse(), row, { name: "bias on the host", tolerance: 1e-6 });
  });
});

describe("toeplitz", () => {
  it.each([
    [1, 1],
    [1, 5],
    [3, 5],
    [5, 3],
    [4, 4],
    [6, 1],
  ])("of %d rows and %d columns holds w by diagonals", (rows, columns) => {
    const w = Float32Array.from({ length: rows + columns - 1 }, (_, i) => i + 1);
    const matrix = interpret(program("toeplitz", { y: toeplitz(input("w", [w.length]), rows, columns) }), { w }).y;
    expect(matrix.shape).toEqual([rows, columns]);
    const wanted = Array.from({ length: rows * columns }, (_, at) => {
      const [i, j] = [Math.floor(at / columns), at % columns];
      return w[j - i + rows - 1];
    });
    expect([...matrix.data]).toEqual(wanted);
  });
});
