/** Which products take their right operand as it is before its transpose, and that no bit of the result depends on it. */
import { afterAll, expect, it } from "vitest";
import { randomKey, randomNormals } from "../base/random.ts";
import { program } from "../graph/program.ts";
import { input, type Tensor } from "../graph/tensor.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { transposedOperand, unreadTransposes } from "./transposed.ts";

const engines = [1, 2].map((threads) => ortNodeEngine({ threads }));
afterAll(async () => {
  for (const engine of engines) await engine.close();
});

const operandOf = ({ node }: Tensor) => (node.kind === "operator" ? transposedOperand(node) : undefined);
const a = (...shape: number[]) => input("a", shape);

it("is b of a product a bᵀ of batches", () => {
  const b = input("b", [2, 5, 4]);
  expect(operandOf(a(2, 3, 4).matmul(b.swapLast()))).toBe(b);
  const heads = input("b", [2, 1, 5, 4]);
  expect(operandOf(a(2, 6, 3, 4).matmul(heads.swapLast()))).toBe(heads);
});

it.each<[string, Tensor]>([
  ["a product with one matrix", a(2, 3, 4).matmul(input("b", [5, 4]).swapLast())],
  ["one matrix times a batch", a(3, 4).matmul(input("b", [2, 5, 4]).swapLast())],
  ["a single row", a(2, 1, 4).matmul(input("b", [2, 5, 4]).swapLast())],
  ["a single column", a(2, 3, 4).matmul(input("b", [2, 1, 4]).swapLast())],
  ["a plain product", a(2, 3, 4).matmul(input("b", [2, 4, 5]))],
  ["another order of axes", a(4, 3, 2).matmul(input("b", [2, 5, 4]).transpose([2, 0, 1]))],
  ["what is transposed twice", a(2, 3, 4).matmul(input("b", [2, 4, 5]).swapLast().swapLast())],
  [
    "a transposed left operand",
    a(2, 4, 3)
      .swapLast()
      .matmul(input("b", [2, 4, 5])),
  ],
])("leaves %s alone", (_, product) => {
  expect(operandOf(product)).toBeUndefined();
});

it("leaves out a transpose only where such products alone read it", () => {
  const [once, also, out] = ["once", "also", "out"].map((name) => input(name, [2, 5, 4]).swapLast());
  const x = a(2, 3, 4);
  const outputs = {
    ...Object.fromEntries([once, also, out].map((t, i) => [`y${i}`, x.matmul(t)])),
    ...{ more: x.mul(2).matmul(once), sum: also.add(1), out },
  };
  expect([...unreadTransposes(program("test", outputs))]).toEqual([once.node]);
});

const rows = [2, 3, 17, 65, 129];
const columns = [2, 17, 33, 128, 513];
const depths = [1, 3, 33, 65, 128, 300];

it.each(rows.flatMap((M) => columns.map((N) => [M, N] as const)))("is the same to the bit: %i x %i", async (M, N) => {
  const products = depths.map((K, i) => {
    const [x, y] = [input(`a${i}`, [2, M, K]), input(`b${i}`, [2, N, K])];
    const aside = y.add(0).swapLast().max(Number.NEGATIVE_INFINITY); // so that the transpose is not read by the product
    return { K, fused: x.matmul(y.swapLast()), plain: x.matmul(aside) };
  });
  expect(products.map(({ fused, plain }) => [operandOf(fused)?.shape, operandOf(plain)])).toEqual(
    depths.map((K) => [[2, N, K], undefined]),
  );
  const outputs = products.flatMap(({ fused, plain }, i) => [[`fused${i}`, fused] as const, [`plain${i}`, plain]]);
  const values = products.flatMap(({ K }, i) => [
    [`a${i}`, randomNormals(randomKey(i, "a"), 2 * M * K)] as const,
    [`b${i}`, randomNormals(randomKey(i, "b"), 2 * N * K)],
  ]);
  for (const engine of engines) {
    const compiled = await engine.compile(program("test", Object.fromEntries(outputs)), { keepDuplicates: true });
    const found = await compiled.run(Object.fromEntries(values));
    for (const i of depths.keys()) expect(found[`fused${i}`]).toEqual(found[`plain${i}`]);
    await compiled.release();
  }
});
