/** The models that are loaded for the page, each in a thread of its own; the one unused for longest goes first. */
import type { FastifyReply } from "fastify";
import { scriptBeside } from "../../base/threads.node.ts";
import { listCheckpoints } from "../../checkpoint/checkpoints.node.ts";
import type { LoadSettings } from "../../config/use-settings.ts";
import { RequestError } from "../../service/failure.ts";
import { JobThread, type RunningJob } from "../../service/job-thread.ts";
import type { ResultOf } from "../../service/jobs.ts";
import type { ModelFacts } from "../api.ts";
import type { RunsFolder } from "../runs/folder.ts";
import type { Studying, StudyThread } from "./protocol.ts";

/** Models that are loaded at the same time. */
const LOADED = 2;

interface Loaded {
  readonly run: string;
  readonly thread: StudyThread;
}

export interface JobEvents {
  readonly onPiece?: (piece: Studying["piece"]) => void;
  readonly onStart?: (running: RunningJob<unknown>) => void;
}

export class Models {
  readonly #folder: RunsFolder;
  readonly #load: LoadSettings;
  readonly #onWarning: (message: string) => void;
  /** By run, the one used last at the end. */
  readonly #loading = new Map<string, { readonly number: number; readonly loaded: Promise<Loaded> }>();
  readonly #closing = new Set<Promise<void>>();
  #last = 0;

  constructor(folder: RunsFolder, load: LoadSettings, onWarning: (message: string) => void) {
    this.#folder = folder;
    this.#load = load;
    this.#onWarning = onWarning;
  }

  /**
   * Loads the newest checkpoint of a run, unless that is loaded. Throws 404, 400 for a run without one, and as
   * loadModel.
   */
  async facts(run: string): Promise<ModelFacts> {
    const newest = (await listCheckpoints(await this.#folder.place(run))).at(-1);
    const known = this.#loading.get(run);
    if (known && newest) {
      const { thread } = await known.loaded;
      if (thread.facts.step < newest.step) await this.#unload(run);
    }
    const { thread } = await (await this.#of(run)).loaded;
    return { run, ...thread.facts };
  }

  /** Runs a job on the model of a run for the client of `reply`, who cancels it by leaving. */
  async run<J extends Studying["job"]>(run: string, job: J, reply: FastifyReply, events: JobEvents = {}) {
    const { number, loaded } = await this.#of(run);
    const result = await this.#runOn((await loaded).thread, job, reply, events);
    return { number, result };
  }

  /** The same on the model that has a text: `1.5` is text 5 of model 1. */
  async runOnText<J extends Extract<Studying["job"], { kind: "write" | "attention" }>>(
    text: string,
    jobOf: (number: number) => J,
    reply: FastifyReply,
    events: JobEvents = {},
  ) {
    const [model, number] = text.split(".").map(Number);
    const known = [...this.#loading].find(([, own]) => own.number === model);
    if (known === undefined || !Number.isInteger(number))
      throw new RequestError(404, "this text has been forgotten: read it again");
    const [run] = known;
    const { loaded } = await this.#of(run);
    return this.#runOn((await loaded).thread, jobOf(number), reply, events);
  }

  async close(): Promise<void> {
    for (const run of [...this.#loading.keys()]) void this.#unload(run);
    await Promise.all(this.#closing);
  }

  async #runOn<J extends Studying["job"]>(
    thread: StudyThread,
    job: J,
    reply: FastifyReply,
    { onPiece, onStart }: JobEvents,
  ): Promise<ResultOf<Studying, J>> {
    const controller = new AbortController();
    const left = () => {
      if (!reply.raw.writableFinished) controller.abort(new RequestError(499, "the client has left"));
    };
    reply.raw.once("close", left);
    try {
      const running = thread.run(job, { signal: controller.signal, ...(onPiece && { onPiece }) });
      onStart?.(running);
      return await running.result;
    } finally {
      reply.raw.off("close", left);
    }
  }

  async #of(run: string) {
    const path = await this.#folder.place(run);
    const known = this.#loading.get(run);
    if (known) {
      this.#loading.delete(run);
      this.#loading.set(run, known); // as the newest
      return known;
    }
    const number = ++this.#last;
    const forget = () => {
      if (this.#loading.get(run)?.number === number) this.#loading.delete(run);
    };
    const thread = JobThread.start<Studying>({
      script: scriptBeside(import.meta.url, "worker"),
      setup: { path, load: this.#load },
      ...{ name: run, path, onWarning: this.#onWarning },
      onDeath: (reason) => {
        forget();
        this.#onWarning(reason);
      },
    });
    const loaded = thread.then((own) => ({ run, thread: own }));
    loaded.catch(forget);
    const entry = { number, loaded };
    this.#loading.set(run, entry);
    const [oldest] = this.#loading.keys();
    if (this.#loading.size > LOADED) void this.#unload(oldest);
    return entry;
  }

  async #unload(run: string): Promise<void> {
    const known = this.#loading.get(run);
    this.#loading.delete(run);
    if (known === undefined) return;
    const closing = known.loaded.then(
      ({ thread }) => thread.close(),
      () => {},
    );
    this.#closing.add(closing);
    await closing.finally(() => this.#closing.delete(closing));
  }
}
