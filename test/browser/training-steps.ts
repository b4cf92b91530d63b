/** Some training steps of nano FLASH from a seed, the same in Node as in a page. */
import { parseModelConfig } from "../../src/models/config.ts";
import { modelOf, parametersOf } from "../../src/models/language-model.ts";
import { presetModel } from "../../src/models/presets.ts";
import { initialise } from "../../src/nn/scope.ts";
import type { Engine } from "../../src/runtime/engine.ts";
import { initialOptimizerState } from "../../src/train/optimizer.ts";
import { createTrainStep } from "../../src/train/step.ts";

export interface Trained {
  /** Nats a token before each step. */
  readonly losses: readonly number[];
  readonly gradientNorms: readonly number[];
  /** Of some parameters after the last step. */
  readonly values: readonly number[];
}

export interface TrainingSteps {
  readonly steps: number;
  readonly context: number;
  readonly batch: number;
  /** Fields of the model in place of those of nano, and its tokens. */
  readonly model?: Readonly<Record<string, number>>;
}

export async function trainingSteps(engine: Engine, { steps, model, ...shape }: TrainingSteps): Promise<Trained> {
  const config = parseModelConfig({
    ...presetModel("flash", "nano", { context: shape.context }),
    ...{ vocabSize: 500, ...model },
  });
  const V = config.vocabSize;
  const parameters = initialise(parametersOf(config), 1);
  const state = initialOptimizerState(parameters);
  const step = await createTrainStep(engine, modelOf(config), shape);
  const optimizer = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01, clip: 1 };
  const [losses, gradientNorms]: [number[], number[]] = [[], []];
  for (let update = 1; update <= steps; update++) {
    const text = Int32Array.from(
      { length: shape.batch * shape.context + 1 },
      (_, i) => (i * 7 + (i >> 3) * update) % V,
    );
    const batch = { tokens: text.slice(0, -1), targets: text.slice(1) };
    const inputs = { parameters, state, batches: [batch], learningRate: 1e-3, update, config: optimizer };
    const { loss, gradientNorm } = await step.run(inputs);
    losses.push(loss);
    gradientNorms.push(gradientNorm);
  }
  await step.toHost();
  await step.release();
  const values = Object.values(parameters).flatMap(({ data }) => Array.from(data.subarray(0, 8)));
  return { losses, gradientNorms, values };
}
