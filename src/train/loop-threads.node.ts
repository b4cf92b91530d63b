/**
 * Loops over arrays of the host on several threads: this one and workers that see its memory (docs/decisions/
 * 0038-loops-on-threads.md). Which thread runs which part changes no bit of the results.
 */
import { setImmediate as turn } from "node:timers/promises";
import type { Worker } from "node:worker_threads";
import { LonghandError, messageOf } from "../base/errors.ts";
import { scriptBeside, startThread } from "../base/threads.node.ts";
import { type HostLoops, type Loop, runHere, runPart, visitsOf } from "./host-loops.ts";
import { placeOf } from "./loop-memory.node.ts";
import { LoopTable, MOST_PARTS, type Part, partsOf } from "./loop-table.ts";

export interface LoopThreadsOptions {
  /** The most threads, the caller's among them. */
  readonly threads: number;
  /** Elements to visit for each thread that takes part: fewer are done sooner than a thread is woken. Default: 65,536. */
  readonly share?: number;
  /** What the workers run; default: loop-worker.node.ts. */
  readonly script?: URL;
}

const SHARE = 2 ** 16;
/** A worker makes few objects. */
const LIMITS = { maxYoungGenerationSizeMb: 2 };
/** How long the event loop waits for other threads' parts before it turns once, so as to hear that a thread has ended. */
const PATIENCE_MS = 20;
/** A thread that does not end when it is asked to is terminated after this time. */
const END_MS = 10_000;

export class LoopThreads implements HostLoops {
  readonly #threads: number;
  readonly #share: number;
  readonly #script: URL;
  readonly #table = new LoopTable();
  readonly #workers = new Map<Worker, Promise<void>>();
  /** Of the run that is under way, or failed: as long as workers may use their arrays, these must not be collected. */
  #kept: readonly Loop[] | undefined;
  #failure: LonghandError | undefined;
  #closed = false;

  constructor({
    threads,
    share = SHARE,
    script = scriptBeside(import.meta.url, "loop-worker.node"),
  }: LoopThreadsOptions) {
    this.#threads = threads;
    this.#share = share;
    this.#script = script;
  }

  async run(loops: readonly Loop[]): Promise<readonly number[]> {
    if (this.#closed) throw new LonghandError("engine", "loops: run after close");
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#kept !== undefined) throw new LonghandError("engine", "loops: expected one run at a time, got another");
    const threads = Math.min(this.#threads, Math.floor(visitsOf(loops) / this.#share));
    if (threads < 2) return runHere(loops);
    while (this.#workers.size < threads - 1) this.#start();
    this.#kept = loops;
    const results = new Map<Loop, number>();
    const parts = partsOf(loops);
    for (let i = 0; i < parts.length; i += MOST_PARTS) {
      const some = parts.slice(i, i + MOST_PARTS);
      await this.#runParts(some, threads - 1);
      for (const [k, { loop }] of some.entries()) results.set(loop, this.#table.shared.results[k]);
    }
    this.#kept = undefined;
    return loops.map((loop) => results.get(loop) ?? 0);
  }

  async #runParts(parts: readonly Part[], helpers: number): Promise<void> {
    const table = this.#table;
    table.begin(parts, placeOf, helpers);
    for (let part = table.take(); part >= 0; part = table.take())
      table.done(part, runPart(parts[part].loop, parts[part]));
    while (!table.allDone(PATIENCE_MS)) {
      if (this.#failure !== undefined) throw this.#failure;
      await turn();
    }
  }

  #start(): void {
    const worker = startThread(this.#script, { data: this.#table.shared, limits: LIMITS });
    worker.unref(); // it ends with the process
    worker.on("error", (error) => this.#failed(messageOf(error)));
    const ended = new Promise<void>((resolve) => {
      worker.on("exit", (status) => {
        this.#failed(`it ended with status ${status}`);
        resolve();
      });
    });
    this.#workers.set(worker, ended);
  }

  /** The first failure is reported, at this run and all later ones. */
  #failed(reason: string): void {
    this.#failure ??= new LonghandError(
      "engine",
      `training: a thread that helps the optimiser failed (${reason}); go on from the last checkpoint, with LONGHAND_BINDING=node if it fails again`,
    );
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#table.close();
    const threads = [...this.#workers];
    for (const [worker] of threads) worker.ref(); // until it has ended
    const limit = setTimeout(() => threads.forEach(([worker]) => void worker.terminate()), END_MS);
    await Promise.all(threads.map(([, ended]) => ended));
    clearTimeout(limit);
    this.#kept = undefined;
  }
}
