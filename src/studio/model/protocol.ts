/** What the thread that answers requests and the thread of a model say to each other (service/jobs.ts). */
import type { LoadSettings } from "../../config/use-settings.ts";
import type { SamplingOptions } from "../../generate/sampling.ts";
import type { JobThread } from "../../service/job-thread.ts";
import type { JobProtocol } from "../../service/jobs.ts";
import type { Attention, FillAnswer, ModelFacts, ScoreEvent, TextAnswer, WriteEvent } from "../api.ts";

export interface Setup {
  readonly path: string;
  readonly load: LoadSettings;
}

interface TextJob {
  readonly kind: "text";
  readonly prompt: string;
  readonly top: number;
}

/** Texts go by number inside the thread. */
export interface WriteJob extends SamplingOptions {
  readonly kind: "write";
  readonly text: number;
  readonly keep?: number | undefined;
  readonly token?: number | undefined;
  readonly count: number;
  readonly top: number;
  readonly seed: number;
}

interface AttentionJob {
  readonly kind: "attention";
  readonly text: number;
  readonly position: number;
}

interface FillJob {
  readonly kind: "fill";
  readonly text: string;
  readonly topK: number;
}

interface ScoreJob {
  readonly kind: "score";
  readonly text: string;
}

export type Job = TextJob | WriteJob | AttentionJob | FillJob | ScoreJob;

export type Answered = Omit<TextAnswer, "text"> & { readonly text: number };

/** In API terms: the last line of a stream is the result of its job, those before are pieces. */
export interface Studying extends JobProtocol {
  readonly setup: Setup;
  readonly job: Job;
  readonly results: {
    readonly text: Answered;
    readonly write: Extract<WriteEvent, { type: "end" }>;
    readonly attention: Attention;
    readonly fill: FillAnswer;
    readonly score: Extract<ScoreEvent, { type: "end" }>;
  };
  readonly piece: Extract<WriteEvent, { type: "token" }> | Extract<ScoreEvent, { type: "tokens" }>;
  readonly facts: Omit<ModelFacts, "run">;
  readonly statistics: never;
}

export type StudyThread = JobThread<Studying>;
