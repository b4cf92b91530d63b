/** What a measured process is told to be, and what it answers: one model, one shape of batch, made-up tokens or a text. */
import type { ModelConfig, RunConfig } from "longhand";
import type { EvalRecord, SkipRecord, TrainRecord } from "longhand/train";
import type { DataSplit } from "./data.ts";
import { MeasuredProcess, nodeProcess, type StepReply } from "./process.ts";
import type { TrainResult } from "./results.ts";

export interface WorkerSetup {
  readonly model: ModelConfig;
  readonly training: RunConfig["training"];
  readonly engine: RunConfig["engine"];
  /** To import first. */
  readonly modules?: readonly string[] | undefined;
  /** The text to learn and to be evaluated on; without it, tokens are made up and nothing is evaluated. */
  readonly text?: DataSplit & {
    readonly folder: string;
    /** Where checkpoints are kept; an earlier one is gone on from. */
    readonly checkpoints: string;
  };
}

/** What the process says when it is ready. */
export interface WorkerHello {
  readonly parameters: number;
  /** Steps done before, from a checkpoint. */
  readonly step: number;
  /** Resident bytes before the first step. */
  readonly baseBytes: number;
}

/** The next event of the training loop: a step that was taken or skipped, or an evaluation that was due after one. */
export interface WorkerStep extends StepReply {
  readonly event: TrainRecord | SkipRecord | EvalRecord;
  readonly peakBytes: number;
}

export type WorkerEvaluation = NonNullable<TrainResult["final"]>;

export type Worker = MeasuredProcess & { readonly hello: WorkerHello };

/** Starts a process and waits until it is ready. Throws NotEnoughMemory. */
export async function startWorker(name: string, setup: WorkerSetup, env = process.env): Promise<Worker> {
  // Beside this file, in the same language: the built package runs worker.js, a loader of TypeScript worker.ts.
  const script = new URL(`./worker.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`, import.meta.url);
  const worker = new MeasuredProcess(nodeProcess(script, name, [JSON.stringify(setup)], env));
  try {
    return Object.assign(worker, { hello: await worker.ready<WorkerHello>() });
  } catch (error) {
    await worker.stop();
    throw error;
  }
}
