/** Training in a page, by Longhand on ONNX Runtime's WebAssembly. */
import { modelOf, parametersOf } from "../../src/models/language-model.ts";
import { initialise } from "../../src/nn/scope.ts";
import type { Engine } from "../../src/runtime/engine.ts";
import { ortWebEngine } from "../../src/runtime/ort-web.ts";
import { initialOptimizerState } from "../../src/train/optimizer.ts";
import { createTrainStep } from "../../src/train/step.ts";
import { trainingProducts } from "../flops.ts";
import { createProductBench } from "../matmuls.ts";
import { type LonghandPage, tokensOf, type WebStep, type WebTraining } from "./trainer.ts";

const OPTIMIZER = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, clip: 1 };

let engine: Engine;
let asked: WebTraining;
let next: () => Promise<WebStep>;

const page: LonghandPage = {
  async prepare(training) {
    asked = training;
    ({ engine } = await ortWebEngine({ threads: training.threads }));
    const { model, batch, context } = training;
    const parameters = initialise(parametersOf(model), 1);
    const state = initialOptimizerState(parameters);
    const step = await createTrainStep(engine, modelOf(model), { batch, context });
    const batches = [tokensOf(training)];
    let update = 0;
    next = async () => {
      update += 1;
      const started = performance.now();
      const inputs = { parameters, state, batches, learningRate: 1e-3, update, config: OPTIMIZER };
      const { loss } = await step.run(inputs);
      return { milliseconds: performance.now() - started, loss };
    };
  },
  step: () => next(),
  products: async () => (await createProductBench(engine, trainingProducts(asked))).measure(),
};
Object.assign(globalThis, { page });
