/**
 * One optimiser step: gradients of one or more batches from the compiled program, their mean, the global norm, AdamW. A loss
 * or gradient that is not finite leaves parameters and state untouched. Two forms: here the gradients come to the host,
 * which updates its arrays in place; on a device with memory of its own everything stays there (device-step.ts).
 */
import { documentsInWindows } from "../data/document-windows.ts";
import type { CarriedState } from "../nn/past.ts";
import type { Parameter } from "../nn/scope.ts";
import type { Engine, HostArraysByName, InputsByName } from "../runtime/engine.ts";
import { readBy, statesAfter } from "./carried.ts";
import { createDeviceStep } from "./device-step.ts";
import { type HostLoops, type Loop, loopsHere } from "./host-loops.ts";
import { createHostUpdate, type HostUpdate } from "./host-update.ts";
import {
  type BatchShape,
  gradientName,
  type Model,
  rowLoops,
  type TrainingProgram,
  trainedOf,
  trainingProgram,
} from "./objective.ts";
import { type FloatArrays, normOf, squareLoops } from "./optimizer.ts";
import { predictedIn } from "./predicted.ts";
import type { Batch, StepInputs, TrainStep } from "./training-step.ts";

export interface TrainStepOptions {
  /** Batches say by `weights` which tokens count; default: all count alike. */
  readonly weighted?: boolean;
  /** The same of batches that masking made: logits are computed only where it can have selected a token. Default: false. */
  readonly masked?: boolean;
  /** The token at which a document of its own begins; default: a window is one document. */
  readonly endOfText?: number | undefined;
  /** What the windows of a batch go on from; default: each begins anew. */
  readonly carried?: CarriedState | undefined;
  /** Keeps parameters and moments on the device. Default: where the engine has memory of its own. */
  readonly onDevice?: boolean;
  /** The program of the same model, shape and options, in the form of the host, where it has been built before. */
  readonly built?: TrainingProgram | undefined;
  /** On the host: what runs the loops over parameters and gradients; default: the caller's thread. */
  readonly loops?: HostLoops | undefined;
  /** On a device: reads the result of each step when it is taken, as for timing it. Default: of several together. */
  readonly tellEach?: boolean;
}

export async function createTrainStep(
  engine: Engine,
  model: Model,
  shape: BatchShape,
  options: TrainStepOptions = {},
): Promise<TrainStep> {
  const { weighted = false, masked = false, endOfText, carried, onDevice = engine.separateMemory } = options;
  const { built, tellEach, loops } = options;
  const documents = endOfText !== undefined;
  const known = onDevice ? undefined : built;
  const form = onDevice ? ({ dense: true, fewest: "operators" } as const) : {};
  const training = known ?? trainingProgram(model, shape, { weighted, masked, documents, carried, ...form });
  const { context } = shape;
  const { inputs } = training.program;
  const places = inputs.get("places");
  const inputsOf = ({ tokens, targets, weights, past }: Batch) => ({
    ...{ tokens, targets, ...readBy(inputs, past) },
    ...(weights && (places ? predictedIn({ targets, weights }, places.size).inputs : { weights })),
    ...(documents && { documents: documentsInWindows({ tokens, context, endOfText }) }),
  });
  const afterOf = carried && ((results: HostArraysByName) => copied(statesAfter(results, carried)));
  if (onDevice) return createDeviceStep(engine, { training, inputsOf, afterOf, tellEach });
  return createHostStep(engine, { training, inputsOf, afterOf, loops });
}

interface HostStepOptions {
  readonly training: TrainingProgram;
  inputsOf(batch: Batch): InputsByName;
  /** The states among the results, where they are carried on. */
  readonly afterOf?: ((results: HostArraysByName) => FloatArrays) | undefined;
  readonly loops?: HostLoops | undefined;
}

async function createHostStep(
  engine: Engine,
  { training, inputsOf, afterOf, loops = loopsHere }: HostStepOptions,
): Promise<TrainStep> {
  const compiled = await engine.compile(training.program);
  const trained = trainedOf(training.parameters);
  let optimizer: HostUpdate | undefined;
  /** Of the last step. */
  let average: FloatArrays | undefined;
  // Used when several batches accumulate: the program's own buffers are overwritten by its next run.
  let sums: Record<string, Float32Array> | undefined;
  const run: TrainStep["run"] = async ({ parameters, state, batches, learningRate, update, config }) => {
    average = state.average;
    const arrays = Object.fromEntries(Object.entries(parameters).map(([path, { data }]) => [path, data]));
    const started = performance.now();
    let total = 0;
    let gradients: Record<string, Float32Array> = {};
    const after: FloatArrays[] = [];
    for (const [i, batch] of batches.entries()) {
      const results = await compiled.run({ ...arrays, ...inputsOf(batch) });
      const own = gradientsOf(results, trained);
      for (const loop of rowLoops(training, results, own, batch.tokens)) await loops.run([loop]); // two may be of one table
      total += results.loss[0];
      if (afterOf) after.push(afterOf(results));
      if (batches.length === 1) gradients = own;
      else {
        sums ??= Object.fromEntries(Object.entries(own).map(([path, g]) => [path, new Float32Array(g.length)]));
        await loops.run(sumLoops(sums, own, i === 0 ? "copy" : "add"));
        gradients = sums;
      }
    }
    const graphDone = performance.now();
    const loss = total / batches.length;
    const scale = 1 / batches.length;
    const gradientNorm = normOf(await loops.run(squareLoops(gradients))) * scale;
    const applied = Number.isFinite(loss) && Number.isFinite(gradientNorm);
    if (applied) {
      optimizer ??= await createHostUpdate(engine, trained, config, loops);
      await optimizer.apply({
        ...{ parameters, gradients, scale, state, step: update, learningRate, gradientNorm, config },
      });
    }
    const took = { graphMs: graphDone - started, optimizerMs: performance.now() - graphDone };
    return { loss, gradientNorm, applied, ...took, ...(afterOf && { after }) };
  };
  return {
    run,
    submit: async (inputs) => [await run(inputs)],
    settle: async () => [],
    current: (parameters) => (average ? averaged(parameters, average) : parameters),
    toHost: async () => {},
    release: async () => {
      await optimizer?.release();
      await compiled.release();
    },
  };
}

/** The parameters with the values of their average, which those that are not trained do not have. */
function averaged(parameters: StepInputs["parameters"], average: FloatArrays): StepInputs["parameters"] {
  return Object.fromEntries(
    Object.entries(parameters).map(([path, own]) => [path, { ...own, data: average[path] ?? own.data }]),
  );
}

function gradientsOf(results: HostArraysByName, trained: readonly Parameter[]): Record<string, Float32Array> {
  return Object.fromEntries(trained.map(({ path }) => [path, results[gradientName(path)] as Float32Array]));
}

function copied(arrays: FloatArrays): FloatArrays {
  return Object.fromEntries(Object.entries(arrays).map(([name, values]) => [name, values.slice()]));
}

function sumLoops(sums: FloatArrays, own: FloatArrays, kernel: "copy" | "add"): Loop[] {
  return Object.entries(sums).map(([path, sum]) => {
    return { kernel, arrays: { sum, x: own[path] }, factors: {}, length: sum.length };
  });
}
