/** Which products take their right operand as it is before its transpose, and that no bit of the result depends on it. */
import { afterAll, expect, it } from "vitest";
import { randomKey, randomNormals } from "../base/random.ts";
import { program } from "../graph/program.ts";
import { input, type Tensor } from "../graph/tensor.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { fusedProducts } from "./transposed.ts";

const engines = [1, 2].map((threads) => ortNodeEngine({ threads }));
afterAll(async () => {
  for (const engine of engines) await engine.close();
});

const operandsOf = (...products: Tensor[]) => {
  const { operands } = fusedProducts(program("test", Object.fromEntries(products.map((y, i) => [`y${i}`, y]))));
  return products.map(({ node }) => operands.get(node));
};
const a = (...shape: number[]) => input("a", shape);

it("is b of a product a bᵀ", () => {
  const b = input("b", [2, 5, 4]);
  expect(operandsOf(a(2, 3, 4).matmul(b.swapLast()))).toEqual([b]);
  const heads = input("b", [2, 1, 5, 4]);
  expect(operandsOf(a(2, 6, 3, 4).matmul(heads.swapLast()))).toEqual([heads]);
  const matrix = input("b", [5, 4]);
  expect(operandsOf(a(2, 1, 4).matmul(matrix.swapLast()))).toEqual([matrix]);
});

it.each<[string, Tensor]>([
  ["one matrix that is computed", a(2, 3, 4).matmul(input("b", [5, 4]).mul(2).swapLast())],
  ["a single row and one matrix", a(1, 1, 4).matmul(input("b", [5, 4]).swapLast())],
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
  expect(operandsOf(product)).toEqual([undefined]);
});

it("leaves a product with one matrix alone that is added to something", () => {
  const [matrix, batch] = [input("b", [5, 4]), input("c", [2, 5, 4])];
  const x = a(2, 3, 4);
  const [one, several] = [matrix, batch].map((b) => x.matmul(b.swapLast()));
  expect(operandsOf(one, one.add(1))).toEqual([undefined, undefined]);
  expect(operandsOf(one, one.reshape([6, 5]).add(1))).toEqual([undefined, undefined]);
  expect(operandsOf(one, one.mul(2).add(1))).toEqual([matrix, undefined]);
  expect(operandsOf(several, several.add(1))).toEqual([batch, undefined]);
});

it("leaves out a transpose only where such products alone read it", () => {
  const [once, also, out] = ["once", "also", "out"].map((name) => input(name, [2, 5, 4]).swapLast());
  const x = a(2, 3, 4);
  const outputs = {
    ...Object.fromEntries([once, also, out].map((t, i) => [`y${i}`, x.matmul(t)])),
    ...{ more: x.mul(2).matmul(once), sum: also.add(1), out },
  };
  expect([...fusedProducts(program("test", outputs)).unread]).toEqual([once.node]);
});

const rows = [2, 3, 17, 65, 129];
const columns = [2, 17, 33, 128, 513];
const depths = [1, 3, 33, 65, 128, 300];

const sizes = rows.flatMap((M) => columns.flatMap((N) => [[], [2]].map((outer) => [M, N, outer] as const)));

it.each(sizes)("is the same to the bit: %i x %i, b of [%s] matrices", async (M, N, outer) => {
  const products = depths.map((K, i) => {
    const [x, y] = [input(`a${i}`, [2, M, K]), input(`b${i}`, [...outer, N, K])];
    const aside = y.add(0).swapLast().max(Number.NEGATIVE_INFINITY); // so that the transpose is not read by the product
    return { K, fused: x.matmul(y.swapLast()), plain: x.matmul(aside) };
  });
  const all = products.flatMap(({ fused, plain }) => [fused, plain]);
  expect(operandsOf(...all).map((b) => b?.shape)).toEqual(depths.flatMap((K) => [[...outer, N, K], undefined]));
  const outputs = products.flatMap(({ fused, plain }, i) => [[`fused${i}`, fused] as const, [`plain${i}`, plain]]);
  const values = products.flatMap(({ K }, i) => [
    [`a${i}`, randomNormals(randomKey(i, "a"), 2 * M * K)] as const,
    [`b${i}`, randomNormals(randomKey(i, "b"), (outer[0] ?? 1) * N * K)],
  ]);
  for (const engine of engines) {
    const compiled = await engine.compile(program("test", Object.fromEntries(outputs)), { keepDuplicates: true });
    const found = await compiled.run(Object.fromEntries(values));
    for (const i of depths.keys()) expect(found[`fused${i}`]).toEqual(found[`plain${i}`]);
    await compiled.release();
  }
});
