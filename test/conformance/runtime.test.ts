/**
 * What ONNX Runtime makes of a graph. It accepts any name in its list of optimisers to leave out, also one that it does
 * not know; so what the list is for is looked up in the optimised graph itself.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { program } from "../../src/graph/program.ts";
import { input, type Tensor } from "../../src/graph/tensor.ts";
import { ortNodeEngine } from "../../src/runtime/ort-node.ts";

const folder = mkdtempSync(join(tmpdir(), "longhand-optimised-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** How many nodes of each of these types are left once the runtime has optimised the graph. */
async function nodesOf(
  name: string,
  outputs: Record<string, Tensor>,
  types: readonly string[],
  keepDuplicates = false,
) {
  const engine = ortNodeEngine({ dumpOptimizedTo: folder });
  await engine.compile(program(name, outputs), { keepDuplicates });
  await engine.close();
  const bytes = readFileSync(join(folder, `${name}.onnx`));
  return types.map((type) => {
    // NodeProto.op_type: field 4, a string.
    const field = Buffer.from([(4 << 3) | 2, type.length, ...Buffer.from(type)]);
    let count = 0;
    for (let at = bytes.indexOf(field); at >= 0; at = bytes.indexOf(field, at + 1)) count++;
    return count;
  });
}

it("keeps a transpose of the left operand out of the product that follows it, and takes in one of the right", async () => {
  const types = ["Transpose", "MatMul", "FusedMatMul", "Gemm"];
  const x = input("x", [4, 8]);
  const right = { z: x.matmul(input("y", [3, 8]).transpose([1, 0])) };
  expect(await nodesOf("right", right, types)).toEqual([0, 0, 1, 0]);
  const left = { z: x.transpose([1, 0]).matmul(input("y", [4, 3])) };
  expect(await nodesOf("left", left, types)).toEqual([1, 1, 0, 0]);
});

it("keeps a transpose out of a product with a sum", async () => {
  const x = input("x", [4, 8]);
  const y = input("y", [3, 8]);
  const sum = x.matmul(y.transpose([1, 0])).add(input("b", [3]));
  const [transposes, fused] = await nodesOf("summed", { sum }, ["Transpose", "FusedMatMul"]);
  expect([transposes, fused]).toEqual([1, 0]);
});

it("merges equal parts, and keeps them apart when told to", async () => {
  const x = input("x", [4, 8]);
  const outputs = () => ({ y: x.exp().add(1), z: x.exp().add(2) });
  expect(await nodesOf("merged", outputs(), ["Exp"])).toEqual([1]);
  expect(await nodesOf("apart", outputs(), ["Exp"], true)).toEqual([2]);
});

it("takes joins and splits of many parts as trees of narrow ones, with the same result", async () => {
  const x = input("x", [20, 3]);
  const parts = x.split(
    0,
    Array.from({ length: 20 }, () => 1),
  );
  const z = parts[19].concat([...parts.slice(0, 19), x], 0);
  const joined = program("narrow", { z, last: parts[19].mul(2) });
  const data = Float32Array.from({ length: 60 }, (_, i) => i);
  const results = [];
  for (const mostParts of [undefined, 7, 2]) {
    const engine = ortNodeEngine({ ...(mostParts && { mostParts }), dumpOptimizedTo: folder });
    const compiled = await engine.compile(joined);
    const { z, last } = await compiled.run({ x: data });
    results.push([[...z], [...last]]);
    await engine.close();
    const inputs =
      readFileSync(join(folder, "narrow.onnx"))
        .toString("latin1")
        .match(/_between_/g)?.length ?? 0;
    expect(inputs > 0).toBe(mostParts !== undefined);
  }
  expect(results[0]).toEqual([
    [...data.slice(57), ...data.slice(0, 57), ...data],
    [...data.slice(57)].map((value) => 2 * value),
  ]);
  expect(results[1]).toEqual(results[0]);
  expect(results[2]).toEqual(results[0]);
});
