/**
 * One optimiser step on host arrays: gradients of one or more batches from the compiled program, their mean, the global
 * norm, AdamW. A loss or gradient that is not finite leaves parameters and state untouched.
 */
import type { HostTensor } from "../base/dtype.ts";
import { documentsInWindows } from "../data/document-windows.ts";
import type { CompiledFunction, Engine, HostArraysByName } from "../runtime/engine.ts";
import {
  addRows,
  type BatchShape,
  gradientName,
  type Model,
  type TrainingProgram,
  trainingProgram,
} from "./objective.ts";
import { type AdamWConfig, adamw, globalNorm, type OptimizerState } from "./optimizer.ts";

export interface Batch {
  /** [B, T] */
  readonly tokens: Int32Array;
  /** [B, T] */
  readonly targets: Int32Array;
  /** [B, T]: how much each token counts in the loss; of a weighted step, and of no other. */
  readonly weights?: Float32Array;
}

export interface StepInputs {
  /** Updated in place, as is the state. */
  readonly parameters: Readonly<Record<string, HostTensor>>;
  readonly state: OptimizerState;
  /** Accumulated: the step is that of their mean. At least one. */
  readonly batches: readonly Batch[];
  readonly learningRate: number;
  /** 1 for the first update that is applied. */
  readonly update: number;
  readonly config: AdamWConfig;
}

export interface StepResult {
  /** Mean nats a predicted token before the update. */
  readonly loss: number;
  /** Global, before clipping. */
  readonly gradientNorm: number;
  /** Whether parameters were updated; not when loss or norm is not finite. */
  readonly applied: boolean;
  /** Milliseconds in the compiled program. */
  readonly graphMs: number;
  /** Milliseconds in clipping and the optimiser. */
  readonly optimizerMs: number;
}

export interface TrainStep {
  run(inputs: StepInputs): Promise<StepResult>;
  release(): Promise<void>;
}

export interface TrainStepOptions {
  /** Batches say by `weights` which tokens count; default: all count alike. */
  readonly weighted?: boolean;
  /** The token at which a document of its own begins; default: a window is one document. */
  readonly endOfText?: number | undefined;
}

export async function createTrainStep(
  engine: Engine,
  model: Model,
  shape: BatchShape,
  { weighted = false, endOfText }: TrainStepOptions = {},
): Promise<TrainStep> {
  const training = trainingProgram(model, shape, { weighted, documents: endOfText !== undefined });
  const documentsOf = ({ tokens }: Batch) =>
    endOfText === undefined ? {} : { documents: documentsInWindows({ tokens, context: shape.context, endOfText }) };
  const compiled = await engine.compile(training.program);
  // Used when several batches accumulate: the program's own buffers are overwritten by its next run.
  let sums: Record<string, Float32Array> | undefined;

  return {
    async run({ parameters, state, batches, learningRate, update, config }) {
      const arrays = Object.fromEntries(Object.entries(parameters).map(([path, { data }]) => [path, data]));
      const started = performance.now();
      let total = 0;
      let gradients: Record<string, Float32Array> = {};
      for (const [i, batch] of batches.entries()) {
        const inputs = { ...arrays, ...documentsOf(batch) };
        const { loss, gradients: own } = await gradientsOf(compiled, training, inputs, batch);
        total += loss;
        if (batches.length === 1) gradients = own;
        else {
          sums ??= Object.fromEntries(Object.entries(own).map(([path, g]) => [path, new Float32Array(g.length)]));
          accumulate(sums, own, i === 0);
          gradients = sums;
        }
      }
      const loss = total / batches.length;
      const graphDone = performance.now();
      const scale = 1 / batches.length;
      const gradientNorm = globalNorm(gradients) * scale;
      const applied = Number.isFinite(loss) && Number.isFinite(gradientNorm);
      if (applied) adamw({ parameters, gradients, scale, state, step: update, learningRate, gradientNorm, config });
      return { loss, gradientNorm, applied, graphMs: graphDone - started, optimizerMs: performance.now() - graphDone };
    },
    release: () => compiled.release(),
  };
}

async function gradientsOf(
  compiled: CompiledFunction,
  { parameters, sparse }: TrainingProgram,
  arrays: HostArraysByName,
  { tokens, targets, weights }: Batch,
): Promise<{ loss: number; gradients: Record<string, Float32Array> }> {
  const results = await compiled.run({ ...arrays, tokens, targets, ...(weights && { weights }) });
  const gradients: Record<string, Float32Array> = {};
  for (const { path } of parameters) gradients[path] = results[gradientName(path)] as Float32Array;
  for (const { path, output, width } of sparse)
    addRows(gradients[path], results[output] as Float32Array, tokens, width);
  return { loss: results.loss[0], gradients };
}

function accumulate(sums: Record<string, Float32Array>, own: Record<string, Float32Array>, first: boolean): void {
  for (const path in sums) {
    const sum = sums[path];
    const gradient = own[path];
    if (first) sum.set(gradient);
    else for (let i = 0; i < sum.length; i++) sum[i] += gradient[i];
  }
}
