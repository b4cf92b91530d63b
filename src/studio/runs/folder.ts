/** The runs of a folder: which there are, at any depth up to a few, and what is to be said of each. */
import { type Dirent, existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { CONFIG_FILE } from "../../checkpoint/config-file.ts";
import { isRunFolder } from "../../checkpoint/run-folder.node.ts";
import type { RunSummary } from "../api.ts";
import { METRICS_FILE } from "./metrics-file.ts";
import { isPlainPart, placeBelow } from "./places.ts";
import { RunWatch } from "./summary.ts";

/** Folders deeper than this are not looked into, nor more of them than this. */
const DEPTH = 4;
const MOST_FOLDERS = 5000;
/** Folders that are read at the same time. */
const AT_ONCE = 32;

/** The file by which a folder of `longhand reproduce` is known. */
export const REPRODUCE_FILE = "reproduce.json";

/** What lies below a folder, by name. */
interface Found {
  readonly runs: readonly string[];
  readonly reports: readonly string[];
}

export class RunsFolder {
  readonly path: string;
  readonly #watches = new Map<string, RunWatch>();
  /** Whether a folder with a config.json is a run: it does not change, but for one that was none yet. */
  readonly #known = new Set<string>();
  #scan: Promise<readonly RunSummary[]> | undefined;

  constructor(path: string) {
    this.path = path;
  }

  /** Newest activity first. Calls at the same time share one look. */
  summaries(): Promise<readonly RunSummary[]> {
    this.#scan ??= this.#look().finally(() => {
      this.#scan = undefined;
    });
    return this.#scan;
  }

  /** One run's. Throws 404 where there is none. */
  async summary(run: string): Promise<RunSummary> {
    await this.place(run);
    return this.#watch(run).summary();
  }

  /** The path of a run, or of what else has that name. Throws 400 and 404 as placeBelow. */
  place(name: string): Promise<string> {
    return placeBelow(this.path, name);
  }

  async find(): Promise<Found> {
    const runs: string[] = [];
    const reports: string[] = [];
    let layer = [""];
    let folders = 0;
    for (let depth = 0; depth <= DEPTH && layer.length > 0; depth++) {
      const next: string[] = [];
      for (let at = 0; at < layer.length && folders < MOST_FOLDERS; at += AT_ONCE) {
        const some = layer.slice(at, at + AT_ONCE);
        folders += some.length;
        const read = await Promise.all(some.map((name) => this.#entries(name)));
        for (const [i, name] of some.entries()) {
          const entries = read[i];
          const has = (file: string) => entries.some((entry) => entry.name === file && entry.isFile());
          if (name !== "" && has(CONFIG_FILE) && (await this.#isRun(name))) runs.push(name);
          else {
            if (name !== "" && has(REPRODUCE_FILE)) reports.push(name);
            next.push(...entries.filter(isPlainFolder).map((entry) => (name === "" ? "" : `${name}/`) + entry.name));
          }
        }
      }
      layer = next;
    }
    return { runs, reports };
  }

  async #look(): Promise<readonly RunSummary[]> {
    const { runs } = await this.find();
    for (const run of this.#watches.keys()) if (!runs.includes(run)) this.#watches.delete(run);
    const summaries = await Promise.all(runs.map((run) => this.#watch(run).summary()));
    return summaries.sort((a, b) => b.changed - a.changed || (a.run < b.run ? -1 : 1));
  }

  #watch(run: string): RunWatch {
    const known = this.#watches.get(run);
    if (known) return known;
    const watch = new RunWatch(run, join(this.path, run));
    this.#watches.set(run, watch);
    return watch;
  }

  async #entries(name: string): Promise<readonly Dirent[]> {
    return readdir(join(this.path, name), { withFileTypes: true }).catch(() => []);
  }

  async #isRun(name: string): Promise<boolean> {
    if (this.#known.has(name)) return true;
    const path = join(this.path, name);
    // A run whose config.json is damaged still has its metrics.
    const isRun = (await isRunFolder(path).catch(() => false)) || existsSync(join(path, METRICS_FILE));
    if (isRun) this.#known.add(name);
    return isRun;
  }
}

/** No link, which could lead anywhere. */
function isPlainFolder(entry: Dirent): boolean {
  return entry.isDirectory() && isPlainPart(entry.name) && entry.name !== "node_modules";
}
