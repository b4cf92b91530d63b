/** Run by memory.test.ts in a process of its own: trains 2,000 small steps and prints the memory after some of them. */
import { parseModelConfig } from "../../src/models/config.ts";
import { languageModel, parametersOf } from "../../src/models/language-model.ts";
import { initialise } from "../../src/nn/scope.ts";
import { ortNodeEngine } from "../../src/runtime/ort-node.ts";
import { initialOptimizerState } from "../../src/train/optimizer.ts";
import { createTrainStep } from "../../src/train/step.ts";

const shape = { batch: 2, context: 64 };
const config = parseModelConfig({
  architecture: "flash",
  vocabSize: 128,
  width: 32,
  layers: 1,
  shared: 16,
  chunk: 16,
  maxLength: shape.context,
});
const engine = ortNodeEngine({ threads: 1 });
const step = await createTrainStep(engine, (scope, tokens) => languageModel(scope, tokens, config), shape);
const parameters = initialise(parametersOf(config), 1);
const state = initialOptimizerState(parameters);
const optimizer = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01, clip: 1 };
const size = shape.batch * shape.context;

const megabytes: Record<number, number> = {};
for (let update = 1; update <= 2000; update++) {
  // New arrays for every step, as in training.
  const tokens = Int32Array.from({ length: size }, (_, i) => (i * 31 + update) % config.vocabSize);
  const targets = Int32Array.from({ length: size }, (_, i) => ((i + 1) * 31 + update) % config.vocabSize);
  const batches = [{ tokens, targets }];
  const result = await step.run({ parameters, state, batches, learningRate: 1e-4, update, config: optimizer });
  if (!result.applied) throw new Error(`update ${update} was not finite`);
  if (update % 200 === 0) {
    globalThis.gc?.();
    megabytes[update] = process.memoryUsage.rss() / 2 ** 20;
  }
}
await engine.close();
console.log(JSON.stringify({ collected: globalThis.gc !== undefined, megabytes }));
