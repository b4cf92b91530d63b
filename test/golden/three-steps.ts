/** Three AdamW steps of a golden model case, with the product's own gradients and optimiser. */
import type { HostArray, HostTensor } from "../../src/base/dtype.ts";
import type { Engine } from "../../src/runtime/engine.ts";
import { runHere } from "../../src/train/host-loops.ts";
import { gradientName, rowLoops, type TrainingProgram } from "../../src/train/objective.ts";
import { adamwLoops, globalNorm, initialOptimizerState } from "../../src/train/optimizer.ts";

export async function threeSteps(
  engine: Engine,
  training: TrainingProgram,
  options: Readonly<Record<string, string>>,
  initial: Readonly<Record<string, HostTensor>>,
  inputs: Readonly<Record<string, HostArray>>,
) {
  const fn = await engine.compile(training.program);
  const parameters: Record<string, HostTensor> = {};
  for (const [path, tensor] of Object.entries(initial)) parameters[path] = { ...tensor, data: tensor.data.slice() };
  const arrays = Object.fromEntries(Object.entries(parameters).map(([path, { data }]) => [path, data]));
  const weights = inputs.weights as Float32Array | undefined;
  const total = weights?.reduce((sum, w) => sum + w, 0) ?? 1;
  const batch = {
    tokens: inputs.tokens,
    targets: inputs.targets,
    ...(weights ? { weights: weights.map((w) => w / total) } : {}),
  };
  const [beta1, beta2] = options.betas.split(",").map(Number);
  const config = {
    beta1,
    beta2,
    epsilon: Number(options.eps),
    weightDecay: Number(options.weight_decay),
    clip: Number(options.clip),
  };
  const state = initialOptimizerState(parameters);
  const steps = Number(options.steps);
  const losses = new Float32Array(steps);
  const gradientNorms = new Float32Array(steps);
  let firstGradients: Record<string, Float32Array> = {};
  for (let step = 1; step <= steps; step++) {
    const results = await fn.run({ ...arrays, ...batch });
    const gradients: Record<string, Float32Array> = {};
    for (const { path } of training.parameters) gradients[path] = results[gradientName(path)] as Float32Array;
    for (const loop of rowLoops(training, results, gradients, batch.tokens as Int32Array)) runHere([loop]);
    if (step === 1)
      firstGradients = Object.fromEntries(Object.entries(gradients).map(([path, g]) => [path, g.slice()]));
    losses[step - 1] = results.loss[0];
    gradientNorms[step - 1] = globalNorm(gradients);
    const gradientNorm = gradientNorms[step - 1];
    const learningRate = Number(options.lr);
    runHere(adamwLoops({ parameters, gradients, state, step, learningRate, gradientNorm, config }));
  }
  return { firstGradients, parameters: arrays, losses, gradientNorms };
}
