/** A thread that works, such as one with a model, seen from the thread that answers requests. */
import type { Worker } from "node:worker_threads";
import { type ErrorCode, LonghandError, messageOf } from "../base/errors.ts";
import { startThread } from "../base/threads.node.ts";
import { RequestError } from "./failure.ts";
import type { FromThread, JobProtocol, ResultOf, ToThread } from "./jobs.ts";

export interface JobOptions<Piece> {
  /** Cancels the job. */
  readonly signal: AbortSignal;
  readonly onPiece?: (piece: Piece) => void;
}

export interface RunningJob<Result> {
  readonly result: Promise<Result>;
  /** Holds back what the job tells, or lets it go on. */
  pause(paused: boolean): void;
}

interface Waiting<P extends JobProtocol> {
  readonly onPiece: ((piece: P["piece"]) => void) | undefined;
  readonly resolve: (result: ResultOf<P>) => void;
  readonly reject: (error: Error) => void;
}

export interface JobThreadOptions<P extends JobProtocol> {
  /** What the thread runs (job-port.ts). */
  readonly script: URL;
  readonly setup: P["setup"];
  /** Of the model, in messages, and where it lies. */
  readonly name: string;
  readonly path: string;
  readonly onWarning: (message: string) => void;
  /** The thread ended although nobody asked it to. */
  readonly onDeath: (reason: string) => void;
}

/** A thread that does not end when it is asked to is terminated after this time. */
const END_MS = 20_000;

export class JobThread<P extends JobProtocol> {
  readonly #options: JobThreadOptions<P>;
  readonly #worker: Worker;
  readonly #jobs = new Map<number, Waiting<P>>();
  readonly #exited: Promise<void>;
  #facts: P["facts"] | undefined;
  #statistics: P["statistics"] | undefined;
  #started: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined;
  #nextId = 0;
  #ended = false;
  #closing = false;

  private constructor(options: JobThreadOptions<P>) {
    this.#options = options;
    this.#worker = startThread(options.script, { data: options.setup, limits: {} });
    this.#worker.on("message", (message: FromThread<P>) => this.#receive(message));
    this.#worker.on("error", (error) => this.#died(messageOf(error)));
    this.#exited = new Promise((resolve) => {
      this.#worker.on("exit", (status) => {
        this.#died(`its thread ended with status ${status}`);
        resolve();
      });
    });
  }

  /** Resolves once the thread is ready. Throws what it was refused with: what loadModel throws. */
  static async start<P extends JobProtocol>(options: JobThreadOptions<P>): Promise<JobThread<P>> {
    const thread = new JobThread<P>(options);
    await new Promise<void>((resolve, reject) => {
      thread.#started = { resolve, reject };
    });
    return thread;
  }

  get name(): string {
    return this.#options.name;
  }

  get setup(): P["setup"] {
    return this.#options.setup;
  }

  get facts(): P["facts"] {
    return this.#facts as P["facts"];
  }

  /** As they were told last; none of a thread that counts nothing. */
  get statistics(): P["statistics"] | undefined {
    return this.#statistics;
  }

  get alive(): boolean {
    return !this.#ended;
  }

  run<J extends P["job"]>(job: J, { signal, onPiece }: JobOptions<P["piece"]>): RunningJob<ResultOf<P, J>> {
    const id = this.#nextId++;
    const cancel = () => this.#send({ type: "cancel", id });
    const result = new Promise<ResultOf<P>>((resolve, reject) => {
      if (this.#ended) return reject(new RequestError(503, "the model has stopped working", { code: "model_stopped" }));
      this.#jobs.set(id, { onPiece, resolve, reject });
      this.#send({ type: "job", id, job });
      if (signal.aborted) cancel();
      else signal.addEventListener("abort", cancel, { once: true });
    }).finally(() => signal.removeEventListener("abort", cancel));
    return {
      result: result as Promise<ResultOf<P, J>>,
      pause: (paused) => this.#send({ type: "pause", id, paused }),
    };
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#send({ type: "stop" });
    const limit = setTimeout(() => void this.#worker.terminate(), END_MS);
    await this.#exited;
    clearTimeout(limit);
  }

  #send(message: ToThread<P>): void {
    if (!this.#ended) this.#worker.postMessage(message);
  }

  #receive(message: FromThread<P>): void {
    switch (message.type) {
      case "ready":
        this.#facts = message.facts;
        this.#started?.resolve();
        break;
      case "refused":
        this.#closing = true;
        this.#started?.reject(new LonghandError(message.code as ErrorCode, message.message));
        break;
      case "warning":
        this.#options.onWarning(message.message);
        break;
      case "statistics":
        this.#statistics = message.statistics;
        break;
      case "pieces":
        for (const [id, piece] of message.pieces) this.#jobs.get(id)?.onPiece?.(piece);
        break;
      case "done":
        this.#take(message.id)?.resolve(message.result);
        break;
      case "failed": {
        const { status, message: text, ...more } = message.failure;
        this.#take(message.id)?.reject(new RequestError(status, text, more));
      }
    }
  }

  #take(id: number): Waiting<P> | undefined {
    const waiting = this.#jobs.get(id);
    this.#jobs.delete(id);
    return waiting;
  }

  #died(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    const error = new RequestError(503, "the model has stopped working", { code: "model_stopped" });
    for (const { reject } of this.#jobs.values()) reject(error);
    this.#jobs.clear();
    this.#started?.reject(new LonghandError("engine", `${this.#options.path}: ${reason}`));
    if (!this.#closing) this.#options.onDeath(`${this.name}: ${reason}`);
  }
}
