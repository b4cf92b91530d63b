/**
 * Longhand as a measured process: `longhand-worker.ts FILE THREADS ENGINE`, the last a JSON object of engine options; JSON lines as in process.ts. Commands:
 * "step" (one training step, as the training loop takes it), "products" (times the plain products of the step),
 * "memory" (peak so far), "exit".
 */
import type { StepReply } from "../reproduce/process.ts";
import { serveCommands } from "../reproduce/serve.ts";
import { modelOf } from "../src/models/language-model.ts";
import { hostLoops } from "../src/run/machine/host-loops.ts";
import { type OrtNodeOptions, ortNodeEngine } from "../src/runtime/ort-node.ts";
import { initialOptimizerState } from "../src/train/optimizer.ts";
import { createTrainStep } from "../src/train/step.ts";
import { trainingProducts } from "./flops.ts";
import { createProductBench, type ProductBench } from "./matmuls.ts";
import { readSetup } from "./setup.ts";

const [file, threads, options] = process.argv.slice(2);
const engineOptions: OrtNodeOptions = { threads: Number(threads), ...JSON.parse(options) };
const engine = ortNodeEngine(engineOptions);
const loops = hostLoops(engineOptions);
const { setup, parameters, batches } = readSetup(file);
const model = modelOf(setup.model);
const trainStep = await createTrainStep(engine, model, setup, { endOfText: setup.endOfText, loops });
const state = initialOptimizerState(parameters);
let steps = 0;
let products: ProductBench | undefined;

async function longhandStep(): Promise<StepReply> {
  const started = performance.now();
  const result = await trainStep.run({
    parameters,
    state,
    batches: [batches[steps % batches.length]],
    learningRate: setup.learningRate,
    update: steps + 1,
    config: setup.optimizer,
  });
  steps += 1;
  return {
    milliseconds: performance.now() - started,
    phases: { graph: result.graphMs, optimizer: result.optimizerMs },
    loss: result.loss,
  };
}

await serveCommands(
  { threads: engine.threads },
  {
    step: longhandStep,
    products: async () => {
      products ??= await createProductBench(engine, trainingProducts(setup));
      return { timings: await products.measure() };
    },
  },
);
await engine.close();
await loops.close();
