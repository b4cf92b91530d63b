/** Windows that overlap are worth what the same windows are worth one by one. */
import { expect, it } from "vitest";
import { sliceTokens, tokensInMemory } from "../data/token-sequence.ts";
import { parseModelConfig } from "../models/config.ts";
import { modelOf, parametersOf } from "../models/language-model.ts";
import { initialise } from "../nn/scope.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { createEvaluator } from "./evaluate.ts";

it("with a stride, the last tokens of each window count, and all of the first", async () => {
  const sizes = { width: 16, layers: 2, shared: 8, chunk: 4, maxLength: 64, vocabSize: 50 };
  const config = parseModelConfig({ architecture: "flash", outputMaps: "normal", ...sizes });
  const parameters = initialise(parametersOf(config), 1);
  const text = tokensInMemory(Int32Array.from({ length: 47 }, (_, i) => (i * i * 7 + 3 * i) % 50));
  const [context, stride] = [16, 5];
  const engine = ortNodeEngine({ threads: 1 });
  const single = await createEvaluator(engine, modelOf(config), { batch: 1, context });
  const strided = await createEvaluator(engine, modelOf(config), { batch: 3, context }, { stride });
  let [sum, tokens] = [0, 0];
  for (let start = 0, known = 0; known < 46; start += stride) {
    const end = Math.min(start + context, 46);
    const { lossByPosition } = await single.run(parameters, sliceTokens(text, start, end + 1));
    for (let target = known; target < end; target++, tokens++) sum += lossByPosition[target - start];
    known = end;
  }
  const result = await strided.run(parameters, text);
  expect([tokens, result.tokens]).toEqual([46, 46]);
  expect(result.totalLoss / sum).toBeCloseTo(1, 6);
  expect(result.tokensByPosition.reduce((a, b) => a + b)).toBe(46);
  const apart = await single.run(parameters, text);
  expect(Math.abs(apart.totalLoss / sum - 1)).toBeGreaterThan(1e-5); // as windows apart it is another figure
  for (const own of [single, strided]) await own.release();
  await engine.close();
});
