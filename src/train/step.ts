/**
 * One optimiser step: gradients of one or more batches from the compiled program, their mean, the global norm, AdamW. A loss
 * or gradient that is not finite leaves parameters and state untouched. Two forms: here the gradients come to the host,
 * which updates its arrays in place; on a device with memory of its own everything stays there (device-step.ts).
 */
import { sizeOf } from "../base/shape.ts";
import { documentsInWindows } from "../data/document-windows.ts";
import type { CarriedState } from "../nn/past.ts";
import type { Parameter } from "../nn/scope.ts";
import type { Engine, HostArraysByName, InputsByName } from "../runtime/engine.ts";
import { readBy, statesAfter } from "./carried.ts";
import { alone, type Communicator, sumNumbers } from "./communicator.ts";
import { createDeviceStep } from "./device-step.ts";
import { flatGroups } from "./flat.ts";
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
import type { Shard } from "./shard.ts";
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
  /** Processes that each take a part of the step, whose mean it is; then on the host. Default: this one alone. */
  readonly communicator?: Communicator | undefined;
  /** What of the optimiser's state is this process's, of several; default: everything. */
  readonly shard?: Shard | undefined;
  /** On a device: reads the result of each step when it is taken, as for timing it. Default: of several together. */
  readonly tellEach?: boolean;
}

export async function createTrainStep(
  engine: Engine,
  model: Model,
  shape: BatchShape,
  options: TrainStepOptions = {},
): Promise<TrainStep> {
  const { weighted = false, masked = false, endOfText, carried, communicator = alone } = options;
  const { onDevice = engine.separateMemory && communicator.size === 1, built, tellEach, loops, shard } = options;
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
  return createHostStep(engine, { training, inputsOf, afterOf, loops, communicator, shard });
}

interface HostStepOptions {
  readonly training: TrainingProgram;
  inputsOf(batch: Batch): InputsByName;
  /** The states among the results, where they are carried on. */
  readonly afterOf?: ((results: HostArraysByName) => FloatArrays) | undefined;
  readonly loops?: HostLoops | undefined;
  readonly communicator: Communicator;
  readonly shard: Shard | undefined;
}

async function createHostStep(
  engine: Engine,
  { training, inputsOf, afterOf, loops = loopsHere, communicator, shard }: HostStepOptions,
): Promise<TrainStep> {
  const compiled = await engine.compile(training.program);
  const trained = trainedOf(training.parameters);
  let optimizer: HostUpdate | undefined;
  /** Of the last step. */
  let average: FloatArrays | undefined;
  const reduces = communicator.size > 1;
  // Used when several batches accumulate, since the program's own buffers are overwritten by its next run, and to add up
  // over processes.
  let sums: GradientSums | undefined;
  const run: TrainStep["run"] = async ({ parameters, state, batches, learningRate, update, config }) => {
    average = state.average;
    const arrays = Object.fromEntries(Object.entries(parameters).map(([path, { data }]) => [path, data]));
    const started = performance.now();
    let total = 0;
    let gradients: FloatArrays = {};
    let meeting: Promise<unknown> | undefined;
    const after: FloatArrays[] = [];
    for (const [i, batch] of batches.entries()) {
      const results = await compiled.run({ ...arrays, ...inputsOf(batch) });
      const own = gradientsOf(results, trained);
      for (const loop of rowLoops(training, results, own, batch.tokens)) await loops.run([loop]); // two may be of one table
      total += results.loss[0];
      if (afterOf) after.push(afterOf(results));
      if (batches.length === 1 && !reduces) gradients = own;
      else {
        sums ??= gradientSums(trained);
        gradients = sums.arrays;
        const last = i === batches.length - 1;
        const what = `the gradients of update ${update}`;
        const add = (flat: Float32Array) => communicator.sum(flat, { what });
        const begun: Promise<void>[] = [];
        for (const { flat, paths } of sums.buffers) {
          await loops.run(sumLoops(gradients, own, { paths, kernel: i === 0 ? "copy" : "add" }));
          if (last && reduces) begun.push(add(flat)); // on its way while the next is added up
        }
        meeting = Promise.all(begun);
      }
    }
    await meeting;
    const graphDone = performance.now();
    const parts = batches.length * communicator.size;
    const [summed] = await sumNumbers(communicator, Float64Array.of(total), { what: `the loss of update ${update}` });
    const loss = summed / parts;
    const scale = 1 / parts;
    const gradientNorm = normOf(await loops.run(squareLoops(gradients))) * scale;
    const applied = Number.isFinite(loss) && Number.isFinite(gradientNorm);
    if (applied) {
      optimizer ??= await createHostUpdate(engine, trained, config, { loops, shard });
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

/** Sums of gradients, by path: views of a few large arrays, each of which several processes add up at once. */
interface GradientSums {
  readonly arrays: FloatArrays;
  readonly buffers: readonly { readonly flat: Float32Array; readonly paths: readonly string[] }[];
}

function gradientSums(trained: readonly Parameter[]): GradientSums {
  const arrays: Record<string, Float32Array> = {};
  const buffers = flatGroups(trained).map(({ parts }) => {
    const flat = new Float32Array(parts.reduce((sum, { shape }) => sum + sizeOf(shape), 0));
    let at = 0;
    for (const { path, shape } of parts) {
      arrays[path] = flat.subarray(at, at + sizeOf(shape));
      at += sizeOf(shape);
    }
    return { flat, paths: parts.map(({ path }) => path) };
  });
  const inOrder = trained.map(({ path }) => [path, arrays[path]] as const); // in which the norm adds up
  return { arrays: Object.fromEntries(inOrder), buffers };
}

function sumLoops(
  sums: FloatArrays,
  own: FloatArrays,
  { paths, kernel }: { readonly paths: readonly string[]; readonly kernel: "copy" | "add" },
): Loop[] {
  return paths.map((path) => {
    return { kernel, arrays: { sum: sums[path], x: own[path] }, factors: {}, length: sums[path].length };
  });
}
