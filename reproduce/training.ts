/**
 * Runs one training of the comparison in a process of its own: real steps on the text, evaluated at intervals that do
 * not count as training time. A checkpoint is saved now and then with a record of all steps beside it, from which an
 * interrupted training continues.
 */
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { LonghandError, parameterCount } from "longhand";
import { type Recompute, recomputeNames } from "longhand/graph";
import { forwardFlops } from "longhand/models";
import { writeFileAtomic } from "longhand/tools";
import { z } from "zod";
import type { TrainJob } from "./jobs.ts";
import { modelConfig, recallModel, trainingOf } from "./models.ts";
import { NotEnoughMemory } from "./process.ts";
import { evaluationPointSchema, type FarWindow, type RecallAtDistance, type TrainResult } from "./results.ts";
import type { RunContext } from "./speed.ts";
import { startWorker, type Worker, type WorkerEvaluation, type WorkerSetup, type WorkerStep } from "./worker-setup.ts";

interface TrainContext extends RunContext {
  /** The learning rate of the job, resolved. */
  readonly lr: number;
  /** Of the trained tokenizer. */
  readonly vocabSize: number;
  /** See DataSplit. */
  readonly window: number;
}

type TrainMeasurement = Omit<TrainResult, "format" | "version" | "identity" | "finished" | "seconds" | "job">;

const recordSchema = z.strictObject({
  lr: z.number(),
  recompute: z.enum(recomputeNames),
  recomputeReason: z.string().nullable(),
  peakBytes: z.number().nullable(),
  stepMs: z.array(z.number()),
  losses: z.array(z.number().nullable()),
  curve: z.array(evaluationPointSchema),
});
/** What was recorded up to some step. */
type TrainRecordSoFar = z.infer<typeof recordSchema>;

const SAVE_EVERY_SECONDS = 90;

/** Undefined when a stop was requested; then everything is saved. */
export async function measureTraining(job: TrainJob, context: TrainContext): Promise<TrainMeasurement | undefined> {
  const folder = workFolder(job, context);
  let record = (await readRecord(folder, context)) ?? freshRecord(context.lr, job);
  for (;;) {
    try {
      return await train(job, context, record);
    } catch (error) {
      if (!(error instanceof NotEnoughMemory)) throw error;
      if (record.recompute === "layers") {
        const failure = `does not fit into memory, with recomputation neither: ${error.message}`;
        return described(job, context, record, failure);
      }
      context.onWarning(`${job.id}: ${error.message}; starting again with recomputation of activations`);
      await rm(folder, { recursive: true, force: true });
      record = freshRecord(context.lr, { recompute: "layers", recomputeReason: error.message });
    }
  }
}

/** Where a training keeps what it needs to continue; to be deleted when its result is written. */
export function workFolder(job: TrainJob, { folder }: Pick<RunContext, "folder">): string {
  return join(folder, "work", job.id);
}

async function train(
  job: TrainJob,
  context: TrainContext,
  record: TrainRecordSoFar,
): Promise<TrainMeasurement | undefined> {
  const folder = workFolder(job, context);
  await mkdir(folder, { recursive: true });
  const worker = await startWorker(job.id, setupOf(job, context, record.recompute));
  try {
    if (!cutTo(record, worker.hello.step)) {
      await worker.stop();
      await rm(folder, { recursive: true, force: true });
      return await train(job, context, freshRecord(context.lr, record));
    }
    const save = async () => {
      await writeFileAtomic(join(folder, RECORD), [JSON.stringify(record)]); // first: a record may be ahead of its checkpoint
      await worker.ask("save");
    };
    let saved = performance.now();
    while (record.stepMs.length < job.steps) {
      if (context.stopRequested()) {
        await save();
        return undefined;
      }
      await nextStep(job, record, worker);
      context.onProgress(progressText(job, record), record.stepMs.length / job.steps);
      if (performance.now() - saved > 1000 * SAVE_EVERY_SECONDS) {
        await save();
        saved = performance.now();
      }
    }
    const final = await worker.ask<WorkerEvaluation>("evaluate");
    const beyond = job.windows && { beyond: await readBeyond([job.context, ...job.windows], worker) };
    const recall = job.recall && { recall: await askFarther(job.recall.distances, worker) };
    return { ...described(job, context, record, null), final, ...beyond, ...recall };
  } catch (error) {
    if (!(error instanceof LonghandError && error.code === "diverged")) throw error;
    const at = record.stepMs.length;
    const what =
      record.losses.at(-1) === null ? `several steps in a row up to ${at} were` : `the held-out loss at step ${at} is`;
    return described(job, context, record, `diverged: ${what} not finite`);
  } finally {
    await worker.stop();
  }
}

/** Takes one step, and the evaluation that is due after it. Throws "diverged" as the training loop does. */
async function nextStep(job: TrainJob, record: TrainRecordSoFar, worker: Worker): Promise<void> {
  const { event, milliseconds, peakBytes } = await worker.ask<WorkerStep>("step");
  record.stepMs.push(Math.round(1000 * milliseconds) / 1000);
  record.losses.push(event.type === "train" ? event.loss : null);
  if (record.curve.length === 0) record.peakBytes = peakBytes; // evaluating takes memory of its own
  if (event.step % job.evalEvery !== 0 && event.step !== job.steps) return;
  const evaluated = (await worker.ask<WorkerStep>("step")).event;
  if (evaluated.type !== "eval")
    throw new Error(`expected an evaluation after step ${event.step}, got ${evaluated.type}`);
  const seconds = record.stepMs.reduce((sum, ms) => sum + ms, 0) / 1000;
  record.curve.push({ step: event.step, seconds, loss: evaluated.loss, tokens: evaluated.tokens });
}

/** The held-out text in each of the windows. */
function readBeyond(windows: readonly number[], worker: Worker): Promise<FarWindow[]> {
  const failed = (window: number, leftOut: string) => ({ window, byPosition: [], leftOut });
  return eachFarther(windows, (window) => worker.ask<FarWindow>("evaluateBeyond", { window }), failed);
}

/** Answers at each of the distances. */
function askFarther(distances: readonly number[], worker: Worker): Promise<RecallAtDistance[]> {
  const failed = (distance: number, leftOut: string) => ({ distance, answers: [], leftOut });
  return eachFarther(distances, (distance) => worker.ask<RecallAtDistance>("askFar", { distance }), failed);
}

/**
 * Measures a trained model at growing lengths. One that fails costs its own figures, not those of the training; after
 * one that does not fit into memory, which has ended the process, come no others.
 */
async function eachFarther<Measured>(
  lengths: readonly number[],
  measure: (length: number) => Promise<Measured>,
  failed: (length: number, leftOut: string) => Measured,
): Promise<Measured[]> {
  const found: Measured[] = [];
  let exhausted: string | undefined;
  for (const length of lengths) {
    try {
      if (exhausted === undefined) found.push(await measure(length));
    } catch (error) {
      if (error instanceof NotEnoughMemory) exhausted = `does not fit into memory: ${error.message}`;
      else if (!(error instanceof LonghandError && error.code === "diverged")) throw error;
      else found.push(failed(length, "the loss is not finite"));
    }
    if (exhausted !== undefined) found.push(failed(length, exhausted));
  }
  return found;
}

function progressText(job: TrainJob, { stepMs, losses, curve }: TrainRecordSoFar): string {
  const heldOut = curve.at(-1);
  const found = heldOut === undefined ? "" : `, held-out perplexity ${Math.exp(heldOut.loss).toFixed(1)}`;
  return `${job.id}: step ${stepMs.length} of ${job.steps}, loss ${losses.at(-1)?.toFixed(3) ?? "-"}${found}`;
}

function setupOf(job: TrainJob, context: TrainContext, recompute: Recompute): WorkerSetup {
  const { settings, folder, lr } = context;
  const { evalFraction, evalTokens, threads, device, modules, optimizer, weightDecay } = settings;
  const { objective, batch, steps, evalEvery } = job;
  const text = { folder: join(folder, "data"), evalFraction, evalTokens, window: context.window };
  return {
    model: configOf(job, context),
    training: trainingOf({
      ...{ objective, context: job.context, batch, recompute, steps, lr, seed: seedOf(job, settings), evalEvery },
      warmup: warmupOf(job),
      ...{ saveEvery: steps, optimizer, weightDecay: job.recall ? RECALL_DECAY : weightDecay },
    }),
    engine: { device, threads },
    modules,
    ...(job.recall ? { recall: { seed: job.recall.seed } } : { text }),
    checkpoints: workFolder(job, context),
  };
}

function configOf(
  { model, ablation, context: length, objective, recall }: TrainJob,
  { settings, vocabSize }: TrainContext,
) {
  if (recall) return recallModel({ model, ablation, context: length });
  return modelConfig({ model, ablation, preset: settings.preset, context: length, vocabSize, objective });
}

const seedOf = ({ recall, seed }: TrainJob, settings: TrainContext["settings"]) =>
  recall?.seed ?? seed ?? settings.seed;

/** Of the section recall, whose windows are never seen twice. */
const RECALL_DECAY = 0.01;

const warmupOf = ({ steps, warmup }: TrainJob) => warmup ?? Math.ceil(steps / 10);

function described(
  job: TrainJob,
  context: TrainContext,
  record: TrainRecordSoFar,
  failure: string | null,
): TrainMeasurement {
  const config = configOf(job, context);
  const { recompute, recomputeReason, peakBytes, stepMs, losses, curve, lr } = record;
  return {
    ...{ config, parameters: parameterCount(config) },
    flopsPerToken: (3 * forwardFlops(config, job.context)) / job.context,
    ...{ lr, warmup: warmupOf(job), seed: seedOf(job, context.settings) },
    ...{ recompute, recomputeReason, stepMs, losses, peakBytes, curve, final: null, failure },
  };
}

const RECORD = "record.json";

function freshRecord(
  lr: number,
  { recompute, recomputeReason }: Pick<TrainRecordSoFar, "recompute" | "recomputeReason">,
): TrainRecordSoFar {
  return { lr, recompute, recomputeReason, peakBytes: null, stepMs: [], losses: [], curve: [] };
}

/** The record of an interrupted training; undefined when there is none that can be used. */
async function readRecord(folder: string, { lr }: TrainContext): Promise<TrainRecordSoFar | undefined> {
  try {
    const record = recordSchema.parse(JSON.parse(await readFile(join(folder, RECORD), "utf8")));
    if (record.lr === lr) return record;
  } catch {
    // Missing or damaged: the training begins again.
  }
  await rm(folder, { recursive: true, force: true });
  return undefined;
}

/** Drops what was recorded after the step of the checkpoint; false when the record ends before it. */
function cutTo(record: TrainRecordSoFar, step: number): boolean {
  if (record.stepMs.length < step) return false;
  record.stepMs.length = step;
  record.losses.length = step;
  record.curve = record.curve.filter((point) => point.step <= step);
  return true;
}
