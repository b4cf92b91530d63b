/** What the thread that answers requests and the threads of the models say to each other (service/jobs.ts). */
import type { ServeSettings } from "../config/serve-settings.ts";
import type { LoadSettings } from "../config/use-settings.ts";
import type { SamplingOptions } from "../generate/sampling.ts";
import type { JobThread } from "../service/job-thread.ts";
import type { JobProtocol } from "../service/jobs.ts";
import type { FillResult } from "../use/fill.ts";

/** What a thread is started with. */
export interface ModelSetup {
  readonly path: string;
  readonly load: LoadSettings;
  readonly settings: ServeSettings;
  /** The name under which it is served, which is also that of its folder of sessions. */
  readonly name: string;
}

export type Input = string | readonly number[];

export interface CompletionJob {
  readonly kind: "complete";
  readonly prompts: readonly Input[];
  /** Continuations of each prompt. */
  readonly n: number;
  readonly tokens: number;
  readonly sampling: SamplingOptions;
  readonly seed: number;
  readonly stop: readonly string[];
  /** Added to the logits of tokens. */
  readonly bias: readonly (readonly [number, number])[];
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  /** How many of the likeliest tokens to tell beside each token; undefined: tell nothing of tokens. */
  readonly logprobs: number | undefined;
  /** Whether the prompt comes before its continuation. */
  readonly echo: boolean;
  /** A session to go on with, or true for a new one. */
  readonly session: string | true | undefined;
}

export interface EmbedJob {
  readonly kind: "embed";
  readonly inputs: readonly Input[];
}

export interface ScoreJob {
  readonly kind: "score";
  readonly inputs: readonly Input[];
  /** Whether to tell the bits of each token. */
  readonly each: boolean;
}

export interface FillJob {
  readonly kind: "fill";
  readonly text: string;
  readonly topK: number | undefined;
}

export interface SessionJob {
  readonly kind: "look" | "forget";
  readonly session: string;
}

export type Job = CompletionJob | EmbedJob | ScoreJob | FillJob | SessionJob;

/** One token as a client is told of it. */
export interface TokenRecord {
  readonly text: string;
  /** ln of its probability; null for the first token of a text. */
  readonly logprob: number | null;
  readonly top: readonly (readonly [string, number])[];
  /** Where its text begins, in UTF-16 units of the choice's text. */
  readonly offset: number;
}

/** What a choice gains in one step. */
export interface Piece {
  /** Prompt times n plus continuation. */
  readonly choice: number;
  readonly text: string;
  readonly records?: readonly TokenRecord[];
  /** stop: at a stop string or where the model ended the text; length: as many tokens as asked for. */
  readonly finish?: "stop" | "length";
}

export interface Usage {
  readonly prompt: number;
  /** Of the prompt, those that were not read again. */
  readonly cached: number;
  readonly completion: number;
}

export interface Completed {
  readonly usage: Usage;
  readonly session?: string;
}

export interface Embedded {
  /** [width] each. */
  readonly vectors: readonly Float32Array[];
  readonly tokens: number;
}

export interface Scored {
  readonly texts: readonly {
    readonly tokens: number;
    readonly bytes: number;
    readonly bits: number;
    readonly each?: readonly { readonly text: string; readonly bits: number }[];
  }[];
}

export interface SessionFacts {
  readonly id: string;
  /** Tokens read. */
  readonly position: number;
  readonly bytes: number;
  /** Seconds since 1970. */
  readonly used: number;
}

export interface JobResults {
  readonly complete: Completed;
  readonly embed: Embedded;
  readonly score: Scored;
  readonly fill: FillResult;
  readonly look: SessionFacts;
  readonly forget: SessionFacts;
}

export type JobResult = JobResults[Job["kind"]];

export interface ModelFacts {
  readonly objective: "causal" | "masked";
  readonly architecture: string;
  readonly vocabSize: number;
  readonly maxLength: number;
  readonly width: number;
  /** Bytes of the state of a new text. */
  readonly stateBytes: number;
}

/** Counted since the start, unless it says now. */
export interface ModelStatistics {
  /** Texts being written now, the size of the batch that they are in, and prompts that are read or wait now. */
  readonly active: number;
  readonly batch: number;
  readonly waiting: number;
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly writtenTokens: number;
  /** Seconds of steps of written texts: all of it, and the engine's part. */
  readonly decodeSeconds: number;
  readonly engineSeconds: number;
  readonly steps: number;
  /** Now. */
  readonly sessions: { readonly count: number; readonly bytes: number; readonly diskBytes: number };
  readonly prefixes: { readonly count: number; readonly bytes: number; readonly hits: number; readonly misses: number };
}

export interface Serving extends JobProtocol {
  readonly setup: ModelSetup;
  readonly job: Job;
  readonly results: JobResults;
  readonly piece: Piece;
  readonly facts: ModelFacts;
  readonly statistics: ModelStatistics;
}

export type ModelThread = JobThread<Serving>;
