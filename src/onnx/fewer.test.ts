/** Rotations and products with transposed matrices as one node each: which are found, and that their values are the same. */
import { afterAll, describe, expect, it } from "vitest";
import { expectClose } from "../../test/support/compare.ts";
import { randomKey, randomNormals } from "../base/random.ts";
import { gradients } from "../graph/gradients.ts";
import { type Program, program } from "../graph/program.ts";
import { input, type Tensor } from "../graph/tensor.ts";
import { angleTable, rope, ropeOfHeads } from "../nn/positions.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { transposedGemms } from "./gemm.ts";
import { neededNodes } from "./replacement.ts";
import { rotations } from "./rotary.ts";

const [plain, fewer] = [ortNodeEngine(), ortNodeEngine({ fewNodes: true })];
afterAll(async () => {
  for (const engine of [plain, fewer]) await engine.close();
});

const [T, s, B, H] = [5, 8, 2, 3];
const table = angleTable(T, s);
const x = input("x", [B, T, s]);
const matrix = input("w", [6, s]);

/** The tensor and its gradients. */
function withGradientsOf(y: Tensor): Program {
  const leaves = [...program("test", { y }).inputs.values()];
  const derived = gradients(y, leaves, input("cotangent", y.shape));
  return program("test", { y, ...Object.fromEntries(derived.map((g, i) => [`d${i}`, g])) });
}

async function expectSame(graph: Program): Promise<void> {
  const values = Object.fromEntries(
    [...graph.inputs].map(([name, { size }]) => [name, randomNormals(randomKey(1, name), size)]),
  );
  const [expected, found] = await Promise.all(
    [plain, fewer].map(async (engine) => (await engine.compile(graph)).run(values)),
  );
  for (const [name, { shape }] of graph.outputs) {
    expect(found[name].length).toBe(shape.reduce((product, n) => product * n, 1));
    expectClose(found[name], expected[name], { name, tolerance: 1e-6 });
  }
}

describe("rotations", () => {
  it.each<[string, Tensor]>([
    ["tokens", rope(x, table)],
    ["heads after sequences", rope(input("heads", [B, H, T, s]), table)],
    ["heads side by side", ropeOfHeads(input("z", [B, T, H * s]), table)],
  ])("of %s, forwards and back, are one node each", async (_, y) => {
    const graph = withGradientsOf(y);
    const found = rotations(graph);
    expect([...found.values()].map(({ name }) => name)).toEqual(["RotaryEmbedding", "RotaryEmbedding"]);
    const computed = [...neededNodes(graph, found)].filter(({ kind }) => kind === "operator");
    expect(computed.length).toBe(2);
    await expectSame(graph);
  });

  const [a, b] = x.split(-1, [s / 2, s / 2]);
  const { cos, sin } = table;
  it.each<[string, Tensor]>([
    ["a matrix", rope(input("m", [T, s]), table)],
    ["angles that are computed", rope(x, { cos: cos.mul(1), sin })],
    [
      "both signs alike",
      a
        .mul(cos)
        .sub(b.mul(sin))
        .concat([b.mul(cos).sub(a.mul(sin))], -1),
    ],
    [
      "other halves",
      b
        .mul(cos)
        .sub(a.mul(sin))
        .concat([a.mul(cos).add(b.mul(sin))], -1),
    ],
    [
      "the same half twice",
      a
        .mul(cos)
        .sub(a.mul(sin))
        .concat([a.mul(cos).add(a.mul(sin))], -1),
    ],
    [
      "other angles",
      a
        .mul(cos)
        .sub(b.mul(sin))
        .concat([b.mul(sin).add(a.mul(cos))], -1),
    ],
  ])("are not found in %s", async (_, y) => {
    expect(rotations(program("test", { y })).size).toBe(0);
    await expectSame(program("test", { y }));
  });

  it("keep what is read beside them", async () => {
    const heads = ropeOfHeads(input("z", [B, T, H * s]), table);
    const graph = program("test", { heads, also: x.split(-1, [4, 4])[0].mul(cos), rotated: rope(x, table) });
    expect(rotations(graph).size).toBe(2);
    await expectSame(graph);
  });
});

describe("products with transposed matrices", () => {
  const rows = x.reshape([B * T, s]);
  it.each<[string, Tensor, object]>([
    ["x bᵀ of the rows of x", x.matmul(matrix.swapLast()), { transB: 1 }],
    ["a bᵀ", rows.matmul(matrix.swapLast()), { transB: 1 }],
    ["aᵀ b", rows.swapLast().matmul(input("g", [B * T, 6])), { transA: 1 }],
    ["aᵀ bᵀ", rows.swapLast().matmul(input("g", [6, B * T]).swapLast()), { transA: 1, transB: 1 }],
  ])("are one node: %s", async (_, y, attributes) => {
    const graph = program("test", { y });
    expect([...transposedGemms(graph).values()].map((found) => found.attributes)).toEqual([attributes]);
    await expectSame(graph);
  });

  it.each<[string, Tensor]>([
    ["a plain product", x.matmul(input("v", [s, 6]))],
    ["several matrices", x.matmul(input("b", [B, 6, s]).swapLast())],
  ])("leave %s alone", async (_, y) => {
    expect(transposedGemms(program("test", { y })).size).toBe(0);
    await expectSame(program("test", { y }));
  });
});
