/** Which targets are the likeliest, over several slices of tokens. The loss itself is held to the golden cases. */
import { expect, it } from "vitest";
import { randomKey, randomNormals } from "../base/random.ts";
import { program } from "../graph/program.ts";
import { input } from "../graph/tensor.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { crossEntropy } from "./cross-entropy.ts";

it("marks the targets that no other logit exceeds", async () => {
  const [N, d, V] = [35, 2, 2 ** 20]; // 16 tokens a slice
  const [x, table, bias] = [N * d, V * d, V].map((size, i) => randomNormals(randomKey(i, "test"), size));
  const likeliest = Array.from({ length: N }, (_, n) => {
    let [best, at] = [Number.NEGATIVE_INFINITY, 0];
    for (let v = 0; v < V; v++) {
      const logit = x[n * d] * table[v * d] + x[n * d + 1] * table[v * d + 1] + bias[v];
      if (logit > best) [best, at] = [logit, v];
    }
    return at;
  });
  const right = Array.from({ length: N }, (_, n) => Number(n % 3 === 0 || n % 16 === 15));
  const targets = Int32Array.from(likeliest, (v, n) => (right[n] ? v : (v + 1) % V));
  const { correct } = crossEntropy({
    x: input("x", [N, d]),
    table: input("table", [V, d]),
    bias: input("bias", [V]),
    targets: input("targets", [N], "int32"),
    weights: input("weights", [N]),
  });
  const engine = ortNodeEngine();
  const compiled = await engine.compile(program("test", { correct }));
  const result = await compiled.run({ x, table, bias, targets });
  expect([...result.correct]).toEqual(right);
  await engine.close();
});

it.each([
  ["as many as 16 MiB hold", 4096, 1024],
  ["at least 512, whatever the vocabulary", 20_000, 512],
  ["as many as 64 MiB hold of a larger one", 50_257, 333],
  ["one of the largest", 2 ** 25, 1],
])("computes logits in slices of rows: %s", (_, V, rows) => {
  const N = 1100;
  const { sum } = crossEntropy({
    x: input("x", [N, 2]),
    table: input("table", [V, 2]),
    bias: input("bias", [V]),
    targets: input("targets", [N], "int32"),
    weights: input("weights", [N]),
  });
  const softmaxes = program("test", { sum }).nodes.filter(
    (node) => node.kind === "operator" && node.name === "Softmax",
  );
  const sizes = softmaxes.map(({ outputs: [{ shape }] }) => shape[0]);
  expect(Math.max(...sizes)).toBe(rows);
  expect(sizes.reduce((total, size) => total + size)).toBe(N);
});
