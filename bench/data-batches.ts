/**
 * What making a batch from shards takes of the training step that it feeds: of shards in memory, and read from the
 * disk.
 */
import { median } from "../reproduce/statistics.ts";
import { trainingBatch } from "../src/data/batches.ts";
import { openShards } from "../src/data/shards.node.ts";
import { parseModelConfig } from "../src/models/config.ts";
import { languageModel, parametersOf } from "../src/models/language-model.ts";
import { presetModel } from "../src/models/presets.ts";
import { initialise } from "../src/nn/scope.ts";
import { ortNodeEngine } from "../src/runtime/ort-node.ts";
import { initialOptimizerState } from "../src/train/optimizer.ts";
import { createTrainStep } from "../src/train/step.ts";
import { threads } from "./longhand.ts";
import { training } from "./setup.ts";

export interface BatchMeasurement {
  readonly preset: "nano";
  readonly context: number;
  readonly batch: number;
  readonly stepMilliseconds: number;
  /** Making a batch: of shards that are kept in memory, and of shards none of which is. */
  readonly cachedMilliseconds: number;
  readonly coldMilliseconds: number;
}

const PRESET = "nano";
const SHAPES = [
  { context: 1024, batch: 4 },
  { context: 16_384, batch: 1 },
];
const STEPS = 5;
const BATCHES = 200;

export async function measureBatches(shards: string): Promise<BatchMeasurement[]> {
  const engine = ortNodeEngine({ threads: threads() });
  const measured: BatchMeasurement[] = [];
  try {
    for (const shape of SHAPES) {
      const [cachedMilliseconds, coldMilliseconds] = [
        await batchTime(shards, shape),
        await batchTime(shards, shape, 0),
      ];
      const cached = await openShards(shards, { verify: false });
      const config = parseModelConfig({
        ...presetModel("flash", PRESET, { context: shape.context }),
        vocabSize: cached.vocabSize,
      });
      const step = await createTrainStep(engine, (scope, tokens) => languageModel(scope, tokens, config), shape);
      const parameters = initialise(parametersOf(config), 1);
      const state = initialOptimizerState(parameters);
      const times: number[] = [];
      for (let i = 0; i < STEPS + 2; i++) {
        const batches = [trainingBatch({ sequence: cached, ...shape, seed: 1, index: i })];
        const began = performance.now();
        const { learningRate, optimizer } = training;
        await step.run({ parameters, state, batches, learningRate, update: i + 1, config: optimizer });
        times.push(performance.now() - began);
      }
      await step.release();
      cached.close();
      const stepMilliseconds = median(times.slice(2));
      measured.push({ preset: PRESET, ...shape, stepMilliseconds, cachedMilliseconds, coldMilliseconds });
    }
  } finally {
    await engine.close();
  }
  return measured;
}

async function batchTime(path: string, shape: (typeof SHAPES)[number], cacheBytes?: number): Promise<number> {
  const sequence = await openShards(path, { verify: false, ...(cacheBytes === undefined ? {} : { cacheBytes }) });
  const times: number[] = [];
  for (let index = 0; index < BATCHES; index++) {
    const began = performance.now();
    trainingBatch({ sequence, ...shape, seed: 1, index });
    times.push(performance.now() - began);
  }
  sequence.close();
  return median(times);
}
