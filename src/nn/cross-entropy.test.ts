/** Which targets are the likeliest, over several slices of tokens. The loss itself is held to the golden cases. */
import { expect, it } from "vitest";
import { randomKey, randomNormals } from "../base/random.ts";
import { program } from "../graph/program.ts";
import { input } from "../graph/tensor.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { crossEntropy } from "./cross-entropy.ts";

it("marks the targets that no other logit exceeds", async () => {
  const [N, d, V] = [7, 2, 2 ** 20]; // four tokens a slice
  const [x, table, bias] = [N * d, V * d, V].map((size, i) => randomNormals(randomKey(i, "test"), size));
  const likeliest = Array.from({ length: N }, (_, n) => {
    let [best, at] = [Number.NEGATIVE_INFINITY, 0];
    for (let v = 0; v < V; v++) {
      const logit = x[n * d] * table[v * d] + x[n * d + 1] * table[v * d + 1] + bias[v];
      if (logit > best) [best, at] = [logit, v];
    }
    return at;
  });
  const right = [1, 0, 1, 1, 0, 0, 1];
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
