/** Of the studio's interface (api.ts): runs, their numbers as they grow, what tells that something changed. */
import type { Training } from "./api-trainings.ts";

export interface RunQuery {
  /** Path of the run below the runs folder, with / between its parts: RunSummary.run. */
  readonly run: string;
}

/**
 * running: a process is training in the folder now; finished: all steps are done; stopped: some are missing, and it
 * can be resumed; damaged: `problem` says what cannot be read.
 */
export type RunStatus = "running" | "finished" | "stopped" | "damaged";

export interface RunSummary {
  readonly run: string;
  readonly status: RunStatus;
  readonly problem?: string;
  /** Milliseconds since 1970, of the last record. */
  readonly changed: number;
  readonly metricsBytes: number;
  /** Undefined where damaged. */
  readonly architecture?: string;
  readonly objective?: "causal" | "masked";
  /** What it learns: paths, as in the configuration. */
  readonly data?: string;
  readonly width?: number;
  readonly layers?: number;
  readonly context?: number;
  /** Steps that it is to take. */
  readonly steps?: number;
  /** The newest step, and what its record says. */
  readonly step: number;
  readonly tokens?: number | null;
  readonly seconds?: number | null;
  readonly loss?: number | null;
  readonly tokensPerSecond?: number | null;
  /** The newest held-out evaluation. */
  readonly evaluation?: { readonly step: number; readonly loss: number | null; readonly perplexity: number | null };
  /** Step of the newest checkpoint; undefined where there is none, and no model to use. */
  readonly checkpoint?: number;
  /** Of a run that is running. */
  readonly process?: RunProcess;
}

export interface RunProcess {
  readonly pid: number;
  readonly host: string;
  /** Whether it is a process of this machine, which can be stopped from here. */
  readonly here: boolean;
  /** Its memory now. */
  readonly memoryBytes?: number;
}

export interface RunDetails {
  readonly summary: RunSummary;
  /** config.json without `format` and `version`. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly checkpoints: readonly { readonly step: number; readonly bytes: number }[];
  /** Files of the run folder itself. */
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
  /** `longhand train --resume …` etc., to be copied: what a person would type for this run. */
  readonly commands: readonly {
    readonly what: "resume" | "generate" | "fill" | "eval" | "serve";
    readonly line: string;
  }[];
}

export interface MetricsQuery extends RunQuery {
  /** Byte of metrics.jsonl to go on from: `next` of the answer before. Default 0. */
  readonly from?: number;
  /** `generation` of the answer before. */
  readonly generation?: string;
}

export interface MetricsPage {
  /** Changes when the file was written anew: a resumed run removes records of later steps. */
  readonly generation: string;
  /**
   * True when the file was written anew since the generation asked for: `records` begin at the start; forget the old.
   */
  readonly reset: boolean;
  readonly from: number;
  readonly next: number;
  /** Whether there is more already: ask again at once. At most about 1 MB comes at a time. */
  readonly more: boolean;
  readonly records: readonly MetricsRecord[];
}

/** A line of metrics.jsonl. */
export type MetricsRecord =
  | {
      readonly type: "train";
      readonly step: number;
      readonly tokens: number;
      /** Nats a token. */
      readonly loss: number | null;
      readonly perplexity: number | null;
      /** Global, before clipping. */
      readonly gradientNorm: number | null;
      readonly learningRate: number;
      readonly tokensPerSecond: number;
      /** Since the run began, over all its processes. */
      readonly seconds: number;
      /** Resident memory of the process, in bytes; runs of older versions do not say. */
      readonly memory?: number;
    }
  | {
      readonly type: "eval";
      readonly step: number;
      readonly loss: number | null;
      readonly perplexity: number | null;
      /** How many held-out tokens. */
      readonly tokens: number;
      /** Of a mixture, each text. */
      readonly parts?: readonly { readonly name: string; readonly loss: number | null }[];
    }
  | { readonly type: "skip"; readonly step: number; readonly reason: string }
  | { readonly type: "checkpoint"; readonly step: number; readonly path: string }
  | { readonly type: "finished"; readonly step: number }
  /**
   * Written by the model after an evaluation, where the setting `sample` says with what to begin. `text` goes on from
   * it.
   */
  | { readonly type: "sample"; readonly step: number; readonly prompt: string; readonly text: string };

/** What decodeColumns of columns.ts returns for `GET /api/columns`. Missing numbers are NaN. */
export interface RunColumns {
  readonly generation: string;
  /** Goes on with GET /api/metrics?from=next&generation=… */
  readonly next: number;
  readonly train: {
    readonly step: Float64Array;
    readonly tokens: Float64Array;
    readonly seconds: Float64Array;
    readonly loss: Float32Array;
    readonly gradientNorm: Float32Array;
    readonly learningRate: Float32Array;
    readonly tokensPerSecond: Float32Array;
    readonly memory: Float64Array;
  };
  /** `tokens` and `seconds` are those of the training so far, as on the axes of `train`. Perplexity is exp(loss). */
  readonly eval: {
    readonly step: Float64Array;
    readonly tokens: Float64Array;
    readonly seconds: Float64Array;
    readonly loss: Float32Array;
  };
  /** All other records: skip, checkpoint, finished, sample. */
  readonly others: readonly MetricsRecord[];
}

export interface Differences {
  readonly runs: readonly string[];
  /** Fields of config.json that are not the same in all, by dotted name; `undefined` values are left out as null. */
  readonly fields: readonly { readonly name: string; readonly values: readonly unknown[] }[];
  /** How many fields are the same in all. */
  readonly same: number;
}

/**
 * Something changed: ask for what you show. After connecting, one `run` for each run and one `training` for each come
 * first.
 */
export type StudioEvent =
  /** New, or with new records: GET /api/metrics from where you are. */
  | { readonly type: "run"; readonly summary: RunSummary }
  | { readonly type: "removed"; readonly run: string }
  /** Started, ended, or with new output: GET /api/output from where you are. */
  | { readonly type: "training"; readonly training: Training }
  /** What came first is complete. */
  | { readonly type: "ready" };
