/** A model in a thread of its own, seen from the thread that answers requests. */
import type { Worker } from "node:worker_threads";
import { type ErrorCode, LonghandError, messageOf } from "../base/errors.ts";
import { scriptBeside, startThread } from "../base/threads.node.ts";
import { RequestError } from "./failure.ts";
import type {
  FromModel,
  Job,
  JobResults,
  ModelFacts,
  ModelSetup,
  ModelStatistics,
  Piece,
  ToModel,
} from "./protocol.ts";

export interface JobOptions {
  /** Cancels the job. */
  readonly signal: AbortSignal;
  readonly onPiece?: (piece: Piece) => void;
}

export interface RunningJob<Kind extends Job["kind"]> {
  readonly result: Promise<JobResults[Kind]>;
  /** Holds the job's text back, or lets it go on. */
  pause(paused: boolean): void;
}

interface Waiting {
  readonly onPiece: ((piece: Piece) => void) | undefined;
  readonly resolve: (result: JobResults[Job["kind"]]) => void;
  readonly reject: (error: Error) => void;
}

export interface ThreadEvents {
  readonly onWarning: (message: string) => void;
  /** The thread ended although nobody asked it to. */
  readonly onDeath: (reason: string) => void;
  /** What the thread runs; default: model/worker.ts. */
  readonly script?: URL;
}

/** A thread that does not end when it is asked to is terminated after this time. */
const END_MS = 20_000;

export class ModelThread {
  readonly setup: ModelSetup;
  readonly #worker: Worker;
  readonly #events: ThreadEvents;
  readonly #jobs = new Map<number, Waiting>();
  readonly #exited: Promise<void>;
  #facts: ModelFacts | undefined;
  #statistics: ModelStatistics | undefined;
  #started: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined;
  #nextId = 0;
  #ended = false;
  #closing = false;

  private constructor(setup: ModelSetup, events: ThreadEvents) {
    const { script = scriptBeside(import.meta.url, "model/worker") } = events;
    this.setup = setup;
    this.#events = events;
    this.#worker = startThread(script, { data: setup, limits: {} });
    this.#worker.on("message", (message: FromModel) => this.#receive(message));
    this.#worker.on("error", (error) => this.#died(messageOf(error)));
    this.#exited = new Promise((resolve) => {
      this.#worker.on("exit", (status) => {
        this.#died(`its thread ended with status ${status}`);
        resolve();
      });
    });
  }

  /** Loads the model. Throws what loadModel throws. */
  static async start(setup: ModelSetup, events: ThreadEvents): Promise<ModelThread> {
    const thread = new ModelThread(setup, events);
    await new Promise<void>((resolve, reject) => {
      thread.#started = { resolve, reject };
    });
    return thread;
  }

  get name(): string {
    return this.setup.name;
  }

  get facts(): ModelFacts {
    return this.#facts as ModelFacts;
  }

  /** As they were at most a quarter of a second ago; none of a model that only fills in blanks. */
  get statistics(): ModelStatistics | undefined {
    return this.#statistics;
  }

  get alive(): boolean {
    return !this.#ended;
  }

  run<J extends Job>(job: J, { signal, onPiece }: JobOptions): RunningJob<J["kind"]> {
    const id = this.#nextId++;
    const cancel = () => this.#send({ type: "cancel", id });
    const result = new Promise<JobResults[Job["kind"]]>((resolve, reject) => {
      if (this.#ended) return reject(new RequestError(503, "the model has stopped working", { code: "model_stopped" }));
      this.#jobs.set(id, { onPiece, resolve, reject });
      this.#send({ type: "job", id, job });
      if (signal.aborted) cancel();
      else signal.addEventListener("abort", cancel, { once: true });
    }).finally(() => signal.removeEventListener("abort", cancel));
    return {
      result: result as Promise<JobResults[J["kind"]]>,
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

  #send(message: ToModel): void {
    if (!this.#ended) this.#worker.postMessage(message);
  }

  #receive(message: FromModel): void {
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
        this.#events.onWarning(message.message);
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

  #take(id: number): Waiting | undefined {
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
    this.#started?.reject(new LonghandError("engine", `${this.setup.path}: ${reason}`));
    if (!this.#closing) this.#events.onDeath(`${this.name}: ${reason}`);
  }
}
