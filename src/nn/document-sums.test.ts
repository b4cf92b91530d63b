/** Sums and maxima over documents against plain loops, in one product and in several levels of blocks. */
import { describe, expect, it } from "vitest";
import { interpret } from "../../test/reference/interpreter.ts";
import { expectClose } from "../../test/support/compare.ts";
import { randomKey, randomNormals } from "../base/random.ts";
import { gradients } from "../graph/gradients.ts";
import { program } from "../graph/program.ts";
import { input } from "../graph/tensor.ts";
import { largestInDocuments, neighbourSums } from "./document-sums.ts";

const [B, H, n] = [2, 2, 3];
const random = (name: string, size: number) => randomNormals(randomKey(3, name), size);

/** Runs of equal labels, of the first row and of the second. */
const runs = [
  [1, 5, 1, 1, 9, 2, 4],
  [2, 2, 13, 1, 5],
];
const labelsOf = (G: number) =>
  Float32Array.from(runs.flatMap((lengths) => lengths.flatMap((length, i) => Array(length).fill(i + 1)).slice(0, G)));

describe.each(["before", "after"] as const)("sums of the run %s", (side) => {
  it.each([
    [1, 64],
    [2, 64],
    [23, 64],
    [23, 8],
    [23, 3],
    [17, 2],
  ])("of %i chunks, %i at once, are those of plain loops, and so are their gradients", (G, atOnce) => {
    const x = input("x", [B, H, G, n]);
    const sums = neighbourSums(x, input("labels", [B, G]), side, atOnce);
    const [dx] = gradients(sums, [x], input("cotangent", x.shape));
    const values = { x: random("x", x.size), labels: labelsOf(G), cotangent: random("cotangent", x.size) };
    const expected = { sums: new Float64Array(x.size), dx: new Float64Array(x.size) };
    for (let b = 0; b < B; b++) {
      const label = (g: number) => values.labels[b * G + g];
      for (let g = 0; g < G; g++) {
        for (let h = 0; h < G; h++) {
          const counts = side === "before" ? h < g && label(h) === label(g - 1) : h > g && label(h) === label(g + 1);
          if (!counts) continue;
          for (let i = 0; i < H * n; i++) {
            const at = (chunk: number) => ((b * H + Math.floor(i / n)) * G + chunk) * n + (i % n);
            expected.sums[at(g)] += values.x[at(h)];
            expected.dx[at(h)] += values.cotangent[at(g)];
          }
        }
      }
    }
    const actual = interpret(program("test", { sums, dx }), values);
    for (const name of ["sums", "dx"] as const) {
      expectClose(actual[name].data, expected[name], { name, tolerance: 1e-14, shape: x.shape });
    }
  });
});

it.each([2, 9, 23])("the largest of each document of %i tokens", (T) => {
  const x = input("x", [B, H, T]);
  const values = { x: random("x", x.size), numbers: labelsOf(T) };
  const { largest } = interpret(program("test", { largest: largestInDocuments(x, input("numbers", [B, T])) }), values);
  const expected = values.x.map((_, at) => {
    const [row, b] = [Math.floor(at / T), Math.floor(at / (H * T))];
    const number = (t: number) => values.numbers[b * T + t];
    return Math.max(...values.x.subarray(row * T, (row + 1) * T).filter((_, t) => number(t) === number(at % T)));
  });
  expect([...largest.data]).toEqual([...expected]);
});
