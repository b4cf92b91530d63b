/** The jobs of a thread that works, inside that thread: takes them, runs them, and tells what comes of them. */
import type { MessagePort } from "node:worker_threads";
import { LonghandError, messageOf } from "../base/errors.ts";
import { failureOf, RequestError } from "./failure.ts";
import type { FromThread, JobProtocol, ResultOf, ToThread } from "./jobs.ts";

/** A job that runs. */
export interface PortJob<P extends JobProtocol> {
  readonly signal: AbortSignal;
  /** Whether its reader is slow. */
  paused(): boolean;
  /** Resolves once its reader is no longer slow, or the job is cancelled. */
  unpaused(): Promise<void>;
  /** What is told with one of the next calls of `flushSoon`, or at the end of the job. */
  tell(piece: P["piece"]): void;
}

export interface PortWork<P extends JobProtocol> {
  readonly facts: P["facts"];
  run(job: P["job"], running: PortJob<P>): Promise<ResultOf<P>>;
  /** A job was cancelled, or told to pause or to go on. */
  readonly changed?: () => void;
  /** A job has ended. */
  readonly ended?: () => void;
  stop(): Promise<void>;
}

/**
 * Pieces that come faster wait for each other so long: a message costs the thread and its reader as much as choosing a token
 * of a small model does, and nobody reads text that fast.
 */
const TOGETHER_MS = 5;

interface Running {
  readonly controller: AbortController;
  paused: boolean;
  /** Called when it is told to pause or to go on, and when it is cancelled. */
  wake: () => void;
}

export class JobPort<P extends JobProtocol> {
  readonly #port: MessagePort;
  readonly #jobs = new Map<number, Running>();
  readonly #answers = new Set<Promise<void>>();
  #pieces: (readonly [number, P["piece"]])[] = [];
  #flushed = 0;
  #waiting: NodeJS.Timeout | undefined;

  constructor(port: MessagePort | null) {
    if (port === null) throw new Error("this script runs as a worker thread");
    this.#port = port;
  }

  warn(message: string): void {
    this.#post({ type: "warning", message });
  }

  count(statistics: P["statistics"]): void {
    this.#post({ type: "statistics", statistics });
  }

  /** Sends the pieces so far in one message: at once, or where the last one has just gone a little later. */
  flushSoon(): void {
    if (this.#pieces.length === 0 || this.#waiting !== undefined) return;
    const wait = this.#flushed + TOGETHER_MS - performance.now();
    if (wait <= 0) this.#flush();
    else this.#waiting = setTimeout(() => this.#flush(), wait);
  }

  #flush(): void {
    clearTimeout(this.#waiting);
    this.#waiting = undefined;
    if (this.#pieces.length > 0) this.#post({ type: "pieces", pieces: this.#pieces });
    this.#pieces = [];
    this.#flushed = performance.now();
  }

  /** Prepares the work, says that the thread is ready or why not, and takes jobs until it is told to stop. */
  async serve(prepare: () => Promise<PortWork<P>>): Promise<void> {
    try {
      const work = await prepare();
      this.#post({ type: "ready", facts: work.facts });
      this.#port.on("message", (message: ToThread<P>) => this.#receive(message, work));
    } catch (error) {
      const code = error instanceof LonghandError ? error.code : "engine";
      this.#post({ type: "refused", code, message: messageOf(error) });
      this.#port.close();
    }
  }

  #receive(message: ToThread<P>, work: PortWork<P>): void {
    if (message.type === "job") {
      const answer = this.#answer(message.id, message.job, work);
      this.#answers.add(answer);
      return void answer.finally(() => this.#answers.delete(answer));
    }
    if (message.type === "stop") return void this.#stop(work);
    const running = this.#jobs.get(message.id);
    if (running === undefined) return;
    if (message.type === "cancel") running.controller.abort(new RequestError(499, "the request was cancelled"));
    else running.paused = message.paused;
    running.wake();
    work.changed?.();
  }

  /** Jobs that still run are cancelled, and have ended before what they use is closed. */
  async #stop(work: PortWork<P>): Promise<void> {
    for (const { controller, wake } of this.#jobs.values()) {
      controller.abort(new RequestError(503, "the model is being closed"));
      wake();
    }
    work.changed?.();
    await Promise.all(this.#answers);
    await work.stop();
    this.#port.close();
  }

  async #answer(id: number, job: P["job"], work: PortWork<P>): Promise<void> {
    const running: Running = { controller: new AbortController(), paused: false, wake: () => {} };
    this.#jobs.set(id, running);
    const { signal } = running.controller;
    const tell = (piece: P["piece"]) => void this.#pieces.push([id, piece]);
    try {
      const unpaused = async () => {
        while (running.paused && !signal.aborted) {
          await new Promise<void>((resolve) => {
            running.wake = resolve;
          });
        }
      };
      const result = await work.run(job, { signal, paused: () => running.paused, unpaused, tell });
      this.#flush();
      this.#post({ type: "done", id, result });
    } catch (error) {
      this.#flush();
      const failure = failureOf(error);
      if (failure.status === 500)
        this.warn(`a request failed: ${error instanceof Error ? error.stack : messageOf(error)}`);
      this.#post({ type: "failed", id, failure });
    } finally {
      this.#jobs.delete(id);
      work.ended?.();
    }
  }

  #post(message: FromThread<P>): void {
    this.#port.postMessage(message);
  }
}
