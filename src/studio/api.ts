/**
 * The studio's interface over HTTP, as types alone: what the page asks and what the server answers. All paths are under
 * `/api/`. Arguments of GET are query parameters, those of POST a JSON object. A refusal is a `Refusal` with its
 * status. Answers marked NDJSON come as lines of JSON while the work goes on; leaving the connection cancels it.
 *
 * The address that `longhand studio` prints has `?token=…`, for which the page is answered with a cookie (HttpOnly,
 * SameSite=Strict); the page then removes the token from the address bar. Programs send `Authorization: Bearer TOKEN`.
 * Numbers that JSON lacks (NaN, infinities) are null.
 */
import type {
  Attention,
  AttentionRequest,
  FillAnswer,
  FillRequest,
  ModelFacts,
  ScoreEvent,
  ScoreRequest,
  TextAnswer,
  TextRequest,
  WriteEvent,
  WriteRequest,
} from "./api-play.ts";
import type {
  Differences,
  MetricsPage,
  MetricsQuery,
  RunDetails,
  RunQuery,
  RunSummary,
  StudioEvent,
} from "./api-runs.ts";
import type { CommandLine, OutputPage, OutputQuery, Training, TrainingForm, TrainingRequest } from "./api-trainings.ts";

export type * from "./api-play.ts";
export type * from "./api-runs.ts";
export type * from "./api-trainings.ts";

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
