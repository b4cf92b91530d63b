/** What worker.ts is started with and answers: one model, one shape of batch, made-up tokens or a text. */
import type { ModelConfig, RunConfig } from "longhand";
import type { EvalRecord, SkipRecord, TrainRecord } from "longhand/train";
import type { DataSplit } from "./data.ts";
import { MeasuredProcess, nodeProcess, type StepReply } from "./process.ts";
import type { TrainResult } from "./results.ts";

export interface WorkerSetup {
  readonly model: ModelConfig;
  readonly training: RunConfig["training"];
  readonly engine: RunConfig["engine"];
  /** Files that register architectures. */
  readonly modules?: readonly string[] | undefined;
  /** What is learnt and evaluated; without it and without `recall`, tokens are made up and nothing is evaluated. */
  readonly text?: DataSplit & { readonly folder: string };
  /** Learns windows made from this seed instead. */
  readonly recall?: { readonly seed: number };
  /** Folder of checkpoints; training continues from one that is there. */
  readonly checkpoints?: string;
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
  // The built package runs worker.js; a TypeScript loader runs worker.ts.
  const script = new URL(`./worker.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`, import.meta.url);
  const worker = new MeasuredProcess(nodeProcess(script, name, [JSON.stringify(setup)], env));
  try {
    return Object.assign(worker, { hello: await worker.ready<WorkerHello>() });
  } catch (error) {
    await worker.stop();
    throw error;
  }
}
