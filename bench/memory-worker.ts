/**
 * One training step in a process of its own: `memory-worker.ts PRESET CONTEXT RECOMPUTE THREADS`. Prints one JSON line: the
 * peak memory before the step and at its end, and how long it took.
 */

import { peakBytes } from "../reproduce/serve-commands.ts";
import { recomputeNames } from "../src/graph/recompute.ts";
import { parseModelConfig } from "../src/models/config.ts";
import { languageModel, parametersOf } from "../src/models/language-model.ts";
import { presetModel } from "../src/models/presets.ts";
import { initialise } from "../src/nn/scope.ts";
import { trainingMemory } from "../src/run/memory.ts";
import { ortNodeEngine } from "../src/runtime/ort-node.ts";
import { initialOptimizerState } from "../src/train/optimizer.ts";
import { createTrainStep } from "../src/train/step.ts";
import { tokenSequence, training } from "./setup.ts";

const [preset, length, way, threads] = process.argv.slice(2);
const recompute = recomputeNames.find((name) => name === way);
if (recompute === undefined) throw new Error(`recompute ${way}: expected one of ${recomputeNames.join(", ")}`);
const shape = { batch: 1, context: Number(length) };
const model = parseModelConfig({ ...presetModel("flash", preset, shape), vocabSize: 8192 });
const engine = ortNodeEngine({ threads: Number(threads) });
const step = await createTrainStep(
  engine,
  (scope, tokens) => languageModel(scope, tokens, model, undefined, { recompute }),
  shape,
);
const parameters = initialise(parametersOf(model), 1);
const text = tokenSequence({ ...shape, model }, 0);
const before = peakBytes();
const { loss, graphMs } = await step.run({
  parameters,
  state: initialOptimizerState(parameters),
  batches: [{ tokens: text.slice(0, -1), targets: text.slice(1) }],
  learningRate: training.learningRate,
  update: 1,
  config: training.optimizer,
});
const estimatedBytes = trainingMemory({ ...shape, model, recompute, accumulate: 1, evaluated: false });
console.log(
  JSON.stringify({ beforeBytes: before, peakBytes: peakBytes(), estimatedBytes, loss, seconds: graphMs / 1000 }),
);
await engine.close();
