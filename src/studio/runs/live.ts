/**
 * Tells listeners what changes in a runs folder. The system says where something was written, where it can; besides,
 * the folder is looked at again and again, which also serves file systems that say nothing (of networks, in
 * containers). Without listeners nothing is looked at.
 */
import { type FSWatcher, watch } from "node:fs";
import { join } from "node:path";
import type { RunSummary, StudioEvent, Training } from "../api.ts";

/** Time in which writes are collected before the folder is looked at. */
const COLLECT_MS = 150;
const LOOK_MS = 1000;
/** A look may take this part of the time: a training needs the processors. */
const LOOK_SHARE = 1 / 15;
/** Folders that the system watches for us: those of the newest runs. */
const MOST_WATCHED = 64;

export interface LiveSources {
  readonly folder: string;
  /** Folders in it that are watched beside those of runs. */
  readonly others: readonly string[];
  summaries(): Promise<readonly RunSummary[]>;
  trainings(): Promise<readonly Training[]>;
}

type Listener = (event: StudioEvent) => void;

/** What of a summary is news: the memory of a process changes all the time. */
function newsOf({ process, ...summary }: RunSummary): string {
  return JSON.stringify([summary, process?.pid]);
}

export class Live {
  readonly #sources: LiveSources;
  readonly #listeners = new Set<Listener>();
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #runs = new Map<string, { readonly news: string; readonly summary: RunSummary }>();
  readonly #trainings = new Map<string, { readonly news: string; readonly training: Training }>();
  #timer: NodeJS.Timeout | undefined;
  /** When the folder is looked at next, by performance.now(). */
  #planned = Number.POSITIVE_INFINITY;
  /** Milliseconds that the last look took. */
  #took = 0;
  #looking: Promise<void> | undefined;
  #again = false;

  constructor(sources: LiveSources) {
    this.#sources = sources;
  }

  /** Tells everything that there is, then `ready`, then what changes. Returns a function that ends it. */
  async listen(listener: Listener): Promise<() => void> {
    await this.look(); // before it is added: it is told what there is from here
    for (const { summary } of this.#runs.values()) listener({ type: "run", summary });
    for (const { training } of this.#trainings.values()) listener({ type: "training", training });
    listener({ type: "ready" });
    this.#listeners.add(listener);
    this.#plan(LOOK_MS);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.close();
    };
  }

  /** Looks now, and tells. Calls while it looks make it look once more. */
  async look(): Promise<void> {
    if (this.#looking) {
      this.#again = true;
      return this.#looking;
    }
    const looking = async () => {
      do {
        this.#again = false;
        await this.#lookOnce();
      } while (this.#again);
    };
    this.#looking = looking().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#planned = Number.POSITIVE_INFINITY;
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  async #lookOnce(): Promise<void> {
    const begun = performance.now();
    const [summaries, trainings] = await Promise.all([this.#sources.summaries(), this.#sources.trainings()]);
    for (const summary of summaries) {
      const news = newsOf(summary);
      const before = this.#runs.get(summary.run);
      this.#runs.set(summary.run, { news, summary });
      if (before?.news !== news) this.#tell({ type: "run", summary });
    }
    const names = new Set(summaries.map(({ run }) => run));
    for (const run of [...this.#runs.keys()].filter((run) => !names.has(run))) {
      this.#runs.delete(run);
      this.#tell({ type: "removed", run });
    }
    for (const training of trainings) {
      const news = JSON.stringify(training);
      const before = this.#trainings.get(training.id);
      this.#trainings.set(training.id, { news, training });
      if (before?.news !== news) this.#tell({ type: "training", training });
    }
    this.#took = performance.now() - begun;
    const newest = summaries.slice(0, MOST_WATCHED).map(({ run }) => run);
    if (this.#listeners.size > 0) this.#watch(["", ...newest, ...this.#sources.others]);
  }

  #tell(event: StudioEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  /** Looks after so long, or earlier where that is planned: writes that go on and on put nothing off. */
  #plan(milliseconds: number): void {
    const wait = Math.max(milliseconds, this.#took / LOOK_SHARE);
    const wanted = performance.now() + wait;
    if (wanted >= this.#planned) return;
    this.#planned = wanted;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#planned = Number.POSITIVE_INFINITY;
      void this.look()
        .catch(() => {}) // the folder is away for now
        .finally(() => {
          if (this.#listeners.size > 0) this.#plan(LOOK_MS);
        });
    }, wait);
  }

  #watch(names: readonly string[]): void {
    for (const [name, watcher] of this.#watchers) {
      if (names.includes(name)) continue;
      watcher.close();
      this.#watchers.delete(name);
    }
    for (const name of names) {
      if (this.#watchers.has(name)) continue;
      try {
        const watcher = watch(join(this.#sources.folder, name), { persistent: false }, () => this.#plan(COLLECT_MS));
        watcher.on("error", () => {
          watcher.close();
          this.#watchers.delete(name);
        });
        this.#watchers.set(name, watcher);
      } catch {
        return; // the system watches no more: looking again and again remains
      }
    }
  }
}
