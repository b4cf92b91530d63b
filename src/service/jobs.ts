/**
 * What the thread that answers requests and a thread that works say to each other. A job has a number, which the one
 * who gives it chooses; it ends with `done` or `failed`. Everything here can be cloned from thread to thread.
 */

/** What one kind of thread understands. */
export interface JobProtocol {
  /** What a thread is started with. */
  readonly setup: object;
  readonly job: { readonly kind: string };
  /** By kind of job. */
  readonly results: object;
  /** What a job tells while it goes on. */
  readonly piece: unknown;
  /** What is known once the thread is ready. */
  readonly facts: unknown;
  /** What is counted. */
  readonly statistics: unknown;
}

export type ResultOf<P extends JobProtocol, J extends P["job"] = P["job"]> = P["results"][J["kind"] &
  keyof P["results"]];

export type ToThread<P extends JobProtocol> =
  | { readonly type: "job"; readonly id: number; readonly job: P["job"] }
  | { readonly type: "cancel"; readonly id: number }
  /** Tells no more of a job until told to go on: its reader is slow. */
  | { readonly type: "pause"; readonly id: number; readonly paused: boolean }
  | { readonly type: "stop" };

/** Why a job failed, as a client is told. */
export interface Failure {
  readonly status: number;
  readonly code: string | null;
  readonly param: string | null;
  readonly message: string;
}

export type FromThread<P extends JobProtocol> =
  | { readonly type: "ready"; readonly facts: P["facts"] }
  | { readonly type: "refused"; readonly code: string; readonly message: string }
  | { readonly type: "pieces"; readonly pieces: readonly (readonly [number, P["piece"]])[] }
  | { readonly type: "done"; readonly id: number; readonly result: ResultOf<P> }
  | { readonly type: "failed"; readonly id: number; readonly failure: Failure }
  | { readonly type: "statistics"; readonly statistics: P["statistics"] }
  | { readonly type: "warning"; readonly message: string };
