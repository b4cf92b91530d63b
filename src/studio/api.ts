/**
 * The studio's interface over HTTP, as types alone: what the page asks and what the server answers. All paths are under
 * `/api/`. Arguments of GET are query parameters, those of POST a JSON object. A refusal is a `Refusal` with its
 * status. Answers marked NDJSON come as lines of JSON while the work goes on; leaving the connection cancels it.
 *
 * The address that `longhand studio` prints has `?token=…`, for which the page is answered with a cookie (HttpOnly,
 * SameSite=Strict); the page then removes the token from the address bar. Programs send `Authorization: Bearer TOKEN`.
 * Numbers that JSON lacks (NaN, infinities) are null.
 */

/**
 * With the status 400 (wrong request), 401 (no token), 403 (wrong Host or Origin), 404, 409 (not as things are), 413,
 * 415, 500 or 503.
 */
export interface Refusal {
  /** One sentence that can be shown. */
  readonly error: string;
}

/** By method and path: what is asked and what is answered. */
export interface Api {
  "GET /api/studio": { readonly query: Record<string, never>; readonly answer: StudioFacts };
  /** Newest activity first. */
  "GET /api/runs": { readonly query: Record<string, never>; readonly answer: { readonly runs: readonly RunSummary[] } };
  "GET /api/run": { readonly query: RunQuery; readonly answer: RunDetails };
  "GET /api/metrics": { readonly query: MetricsQuery; readonly answer: MetricsPage };
  /** All numbers of a run as one binary answer: see columns.ts, whose `decodeColumns` gives typed arrays. */
  "GET /api/columns": { readonly query: RunQuery; readonly answer: ArrayBuffer };
  /** `run` once for each run: ?run=a&run=b */
  "GET /api/differences": { readonly query: { readonly run: readonly string[] }; readonly answer: Differences };
  /**
   * Server-sent events, each a `StudioEvent` as the data of a message without a name. Complete after a reconnection.
   */
  "GET /api/events": { readonly query: Record<string, never>; readonly answer: StudioEvent };

  "GET /api/settings": { readonly query: Record<string, never>; readonly answer: TrainingForm };
  /** What would be started, without starting it. */
  "POST /api/command": { readonly body: TrainingRequest; readonly answer: CommandLine };
  "POST /api/trainings": { readonly body: TrainingRequest; readonly answer: Training };
  "GET /api/trainings": {
    readonly query: Record<string, never>;
    readonly answer: { readonly trainings: readonly Training[] };
  };
  "GET /api/output": { readonly query: OutputQuery; readonly answer: OutputPage };
  /** As Ctrl-C does: after this step, saved. A second time: at once. Of a run that is running, whoever started it. */
  "POST /api/stop": { readonly body: RunQuery; readonly answer: { readonly run: string; readonly asked: number } };

  /** Loads a model, or tells of one that is loaded. */
  "POST /api/model": { readonly body: RunQuery; readonly answer: ModelFacts };
  "POST /api/text": { readonly body: TextRequest; readonly answer: TextAnswer };
  /** NDJSON */
  "POST /api/write": { readonly body: WriteRequest; readonly answer: WriteEvent };
  "POST /api/attention": { readonly body: AttentionRequest; readonly answer: Attention };
  "POST /api/fill": { readonly body: FillRequest; readonly answer: FillAnswer };
  /** NDJSON */
  "POST /api/score": { readonly body: ScoreRequest; readonly answer: ScoreEvent };

  "GET /api/reports": {
    readonly query: Record<string, never>;
    readonly answer: { readonly reports: readonly Report[] };
  };
}

// The studio ----------------------------------------------------------------------------------------------------------

export interface StudioFacts {
  /** Of Longhand. */
  readonly version: string;
  /** The runs folder, as an absolute path. */
  readonly folder: string;
  readonly processors: number;
  readonly memoryBytes: number;
}

// Runs ----------------------------------------------------------------------------------------------------------------

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

// Training ------------------------------------------------------------------------------------------------------------

export interface TrainingForm {
  /** JSON schema (draft 2020-12) of the settings of a new training, with `description` and `default` of each field. */
  readonly settings: JsonSchema;
  /** Of a resumed one. */
  readonly resume: JsonSchema;
  /** The flag of each field, such as --eval-every. */
  readonly flags: Readonly<Record<string, string>>;
}

/** The part of JSON schema that occurs. */
export interface JsonSchema {
  readonly type?: "object" | "array" | "string" | "number" | "integer" | "boolean";
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly JsonSchema[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly minLength?: number;
  readonly minItems?: number;
  /** What stands for the value in help: "path...", "n|auto". */
  readonly value?: string;
}

/** Either a new training or one that goes on. */
export type TrainingRequest =
  /**
   * Only fields that differ from their default need be there. `out` is a name below the runs folder; default: of the
   * data.
   */
  | { readonly settings: Readonly<Record<string, unknown>> }
  | { readonly resume: string; readonly settings?: Readonly<Record<string, unknown>> };

export interface CommandLine {
  /** As a person would type it, quoted for a shell. */
  readonly line: string;
  readonly words: readonly string[];
  /** Where the run will be. */
  readonly run: string;
}

/** A process that was started from the studio. It goes on when the studio ends, and a later studio shows it again. */
export interface Training {
  readonly id: string;
  readonly run: string;
  readonly command: string;
  readonly pid: number;
  /** Milliseconds since 1970. */
  readonly started: number;
  readonly running: boolean;
  /** Once it has ended; null where it ended by a signal or while no studio was there to see. */
  readonly exitCode?: number | null;
  readonly outputBytes: number;
}

export interface OutputQuery {
  readonly training: string;
  /** Byte to go on from; negative: so many from the end. Default -65536. */
  readonly from?: number;
}

export interface OutputPage {
  readonly from: number;
  readonly next: number;
  /** What it wrote for a person to read, whole characters; lines end with \n, and \r returns to the start of a line. */
  readonly text: string;
}

// Playground ----------------------------------------------------------------------------------------------------------

export interface ModelFacts {
  readonly run: string;
  readonly objective: "causal" | "masked";
  readonly architecture: string;
  readonly step: number;
  readonly vocabSize: number;
  /** Of training. */
  readonly context: number;
  /** The longest text that it can read; null: no limit. */
  readonly maxLength: number | null;
  readonly layers: number;
  /** Whether POST /api/attention has something to say of it. */
  readonly attention: boolean;
}

/** A token that could come, or that came. */
export interface Alternative {
  readonly id: number;
  /** Bytes that are no whole character stand as `bytes:\x..`; ends of text as <|endoftext|>. */
  readonly text: string;
  /** Under the model, before temperature and cut-offs: 0 to 1. */
  readonly probability: number;
}

/** The first token of a text comes after nothing: it has no probability (null), rank, entropy or alternatives. */
export interface TextToken {
  readonly id: number;
  readonly text: string;
  readonly probability: number | null;
  /** 1: the likeliest. */
  readonly rank: number | null;
  /** Of the distribution that it came from, in bits. */
  readonly entropy: number | null;
  /** The likeliest tokens in its place, the likeliest first. */
  readonly alternatives: readonly Alternative[];
}

export interface TextRequest extends RunQuery {
  /** What is read, at most 16,384 tokens. May be empty: then the text begins with the token <|endoftext|>. */
  readonly prompt: string;
  /** How many alternatives each token has. Default 10, at most 100. */
  readonly top?: number;
}

export interface TextAnswer {
  /**
   * To be named when it is gone on with. Texts unused for longest are forgotten: then 404, and the text is to be read
   * again.
   */
  readonly text: string;
  readonly tokens: readonly TextToken[];
  /** What could come next. */
  readonly next: readonly Alternative[];
  /** Entropy of what could come next, in bits. */
  readonly entropy: number;
}

export interface WriteRequest {
  readonly text: string;
  /** Tokens of the text to keep, the prompt's included; those after are taken back. Default: all. */
  readonly keep?: number;
  /** A token to put after those first, such as an alternative that was clicked. */
  readonly token?: number;
  /** How many more the model writes. Default 0. */
  readonly count?: number;
  readonly top?: number;
  readonly seed?: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly typicalP?: number;
  readonly repetitionPenalty?: number;
}

export type WriteEvent =
  /** `at`: its index in the text. */
  | { readonly type: "token"; readonly at: number; readonly token: TextToken }
  | {
      readonly type: "end";
      /** end: the model ended the text; count: all were written; cancelled: asked to stop. */
      readonly reason: "end" | "count" | "cancelled";
      readonly length: number;
      readonly next: readonly Alternative[];
      readonly entropy: number;
      readonly tokensPerSecond: number;
    }
  | { readonly type: "error"; readonly error: string };

export interface AttentionRequest {
  readonly text: string;
  /** Index of the token in the text that looks back. */
  readonly position: number;
}

export interface Attention {
  readonly position: number;
  /** Index in the text of the first token that the exact attention can see (the start of its chunk). */
  readonly start: number;
  /** Tokens of the chunk up to the position, in order: weights are of these. */
  readonly tokens: readonly { readonly id: number; readonly text: string }[];
  /** Tokens of a chunk; null: attention to the whole text. */
  readonly chunk: number | null;
  readonly layers: readonly AttentionOfLayer[];
}

export interface AttentionOfLayer {
  /**
   * One row for each head (the gated unit has one): weights of `tokens`; relu2 gives any number of 0 or more, softmax
   * sums to 1.
   */
  readonly heads: readonly (readonly number[])[];
  /** Euclidean norms of what the exact and the distant half each add to the output at the position. */
  readonly localNorm: number;
  /** null: the layer has no distant half. */
  readonly distantNorm: number | null;
  /** localNorm / (localNorm + distantNorm); 1 without a distant half; null where both are 0. */
  readonly localShare: number | null;
}

export interface FillRequest extends RunQuery {
  /** With [MASK] at each blank. */
  readonly text: string;
  readonly topK?: number;
}

export interface FillAnswer {
  /** With the likeliest token in each blank. */
  readonly text: string;
  readonly blanks: readonly (readonly Alternative[])[];
}

export interface ScoreRequest extends RunQuery {
  readonly text: string;
}

export type ScoreEvent =
  /** Tokens in order: the text of each and its surprise in bits. U+FFFD stands for parts of characters. */
  | {
      readonly type: "tokens";
      /** Index of the first. */
      readonly from: number;
      readonly texts: readonly string[];
      readonly bits: readonly number[];
    }
  | {
      readonly type: "end";
      readonly tokens: number;
      readonly bytes: number;
      readonly bits: number;
      readonly perplexity: number;
      readonly bitsPerByte: number;
      /** In ranges that double in length: perplexity against position. */
      readonly byPosition: readonly { readonly from: number; readonly to: number; readonly perplexity: number }[];
      /** Tokens of a window, each of which began anew; null: read whole. */
      readonly window: number | null;
    }
  | { readonly type: "error"; readonly error: string };

// Reports of `longhand reproduce` -------------------------------------------------------------------------------------

export interface Report {
  /** Path of its folder below the runs folder. */
  readonly report: string;
  readonly title: string;
  /** Milliseconds since 1970. */
  readonly changed: number;
  /** For <iframe sandbox src>; served with a policy that lets it run nothing and load nothing. */
  readonly url: string;
  /** Plots and tables beside it. */
  readonly files: readonly { readonly name: string; readonly bytes: number; readonly url: string }[];
}
