/** What the list says of a run: config.json, the end of metrics.jsonl, the newest checkpoint, and who works there. */
import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { LonghandError, messageOf } from "../../base/errors.ts";
import { describeIssues } from "../../base/issues.ts";
import { listCheckpoints } from "../../checkpoint/checkpoints.node.ts";
import { CONFIG_FILE } from "../../checkpoint/config-file.ts";
import { readConfig } from "../../checkpoint/run-folder.node.ts";
import { LOCK_FILE, workerIn } from "../../checkpoint/run-lock.node.ts";
import type { MetricsRecord, RunProcess, RunSummary } from "../api.ts";
import { type FileState, METRICS_FILE, MetricsFile } from "./metrics-file.ts";

/**
 * What is shown of a configuration. Less is asked of it than of one that is trained on, whose architecture must be
 * known here.
 */
const shownSchema = z.looseObject({
  data: z.looseObject({
    path: z.union([z.string(), z.array(z.string())]).optional(),
    mix: z.array(z.looseObject({ path: z.union([z.string(), z.array(z.string())]) })).optional(),
  }),
  model: z.looseObject({ architecture: z.string(), width: z.number(), layers: z.number() }),
  training: z.looseObject({
    objective: z.enum(["causal", "masked"]).default("causal"),
    context: z.number(),
    steps: z.number(),
  }),
});

export type ShownConfig = z.infer<typeof shownSchema>;

/** config.json without format and version. Throws "config" for one that cannot be read. */
export function shownConfig(path: string): Promise<ShownConfig> {
  return readConfig(path, (fields) => {
    const parsed = shownSchema.safeParse(fields);
    if (parsed.success) return parsed.data;
    throw new LonghandError("config", describeIssues(parsed.error, fields));
  });
}

type Train = Extract<MetricsRecord, { type: "train" }>;
type Evaluation = Extract<MetricsRecord, { type: "eval" }>;

/** The newest records of a run. */
interface Newest {
  readonly step: number;
  readonly finished: boolean;
  readonly train: Train | undefined;
  readonly evaluation: Evaluation | undefined;
}

const NONE: Newest = { step: 0, finished: false, train: undefined, evaluation: undefined };

/** How much of the end of a file is looked at for the newest evaluation: first this, then more. */
const TAIL_BYTES = 16 << 10;
const MOST_TAIL_BYTES = 4 << 20;

function after(before: Newest, records: readonly MetricsRecord[]): Newest {
  const last = records.at(-1);
  if (last === undefined) return before;
  const train = records.findLast((record) => record.type === "train");
  const evaluation = records.findLast((record) => record.type === "eval");
  return {
    step: last.step,
    finished: last.type === "finished",
    train: train ?? before.train,
    evaluation: evaluation ?? before.evaluation,
  };
}

async function newestOf(file: MetricsFile): Promise<Newest> {
  for (let bytes = TAIL_BYTES; ; bytes *= 4) {
    const newest = after(NONE, await file.tail(bytes));
    const complete = newest.train !== undefined && newest.evaluation !== undefined;
    if (complete || bytes >= file.state.bytes || bytes >= MOST_TAIL_BYTES) return newest;
  }
}

/** The summaries of one run, again and again: what has not changed is not read again. */
export class RunWatch {
  readonly #path: string;
  readonly #run: string;
  #config: { readonly mark: string; readonly shown: ShownConfig | string } | undefined;
  #metrics: { readonly mark: string; readonly state: FileState; readonly newest: Newest } | undefined;
  #checkpoint: { readonly mark: string; readonly step: number | undefined } | undefined;

  constructor(run: string, path: string) {
    this.#run = run;
    this.#path = path;
  }

  async summary(): Promise<RunSummary> {
    const [config, metrics, checkpoint] = await Promise.all([
      this.#readConfig(),
      this.#readMetrics(),
      this.#newestCheckpoint(),
    ]);
    const { step, finished, train, evaluation } = metrics?.newest ?? NONE;
    const about = {
      run: this.#run,
      changed: Math.round(metrics?.state.changed ?? (await changeOf(this.#path))),
      metricsBytes: metrics?.state.bytes ?? 0,
      step,
      ...(checkpoint !== undefined && { checkpoint }),
    };
    if (typeof config === "string") return { ...about, status: "damaged", problem: config };
    const { data, model, training } = config;
    const process = await processIn(this.#path);
    return {
      ...about,
      status: process ? "running" : finished ? "finished" : "stopped",
      ...(process && { process }),
      ...{ architecture: model.architecture, width: model.width, layers: model.layers },
      ...{ objective: training.objective, context: training.context, steps: training.steps },
      data: (data.mix ?? [{ path: data.path ?? "" }]).flatMap(({ path }) => path).join(", "),
      ...(train && { tokens: train.tokens, seconds: train.seconds }),
      ...(train && { loss: train.loss, tokensPerSecond: train.tokensPerSecond }),
      ...(evaluation && {
        evaluation: { step: evaluation.step, loss: evaluation.loss, perplexity: evaluation.perplexity },
      }),
    };
  }

  async #readConfig(): Promise<ShownConfig | string> {
    const mark = await markOf(join(this.#path, CONFIG_FILE));
    if (this.#config?.mark !== mark)
      this.#config = { mark, shown: await shownConfig(this.#path).catch((error) => messageOf(error)) };
    return this.#config.shown;
  }

  async #readMetrics() {
    const known = this.#metrics;
    const mark = await markOf(join(this.#path, METRICS_FILE));
    if (known?.mark === mark) return known;
    const read = await MetricsFile.read(this.#path, async (file) => {
      const { state } = file;
      const grown = known?.state.generation === state.generation ? state.bytes - known.state.bytes : -1;
      if (known === undefined || grown < 0 || grown > MOST_TAIL_BYTES) return { state, newest: await newestOf(file) };
      if (grown === 0) return { state, newest: known.newest };
      const { records, next } = await file.lines(known.state.bytes, grown);
      return { state: { ...state, bytes: next }, newest: after(known.newest, records) };
    });
    this.#metrics = read && { mark, ...read };
    return this.#metrics;
  }

  async #newestCheckpoint(): Promise<number | undefined> {
    const mark = await markOf(join(this.#path, "checkpoints"));
    if (this.#checkpoint?.mark !== mark) {
      const checkpoints = await listCheckpoints(this.#path).catch(() => []);
      this.#checkpoint = { mark, step: checkpoints.at(-1)?.step };
    }
    return this.#checkpoint.step;
  }
}

/** Another where a file or folder has changed. */
async function markOf(path: string): Promise<string> {
  const status = await stat(path).catch(() => undefined);
  return status ? `${status.ino} ${status.mtimeMs} ${status.size}` : "";
}

async function changeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.mtimeMs ?? 0;
}

/** The process that trains in a folder. A lock that cannot be read is nobody's. */
export async function processIn(path: string): Promise<RunProcess | undefined> {
  try {
    if (!existsSync(join(path, LOCK_FILE))) return undefined;
    const worker = workerIn(path);
    if (worker === undefined) return undefined;
    const here = worker.host === hostname();
    const memoryBytes = here ? await residentBytes(worker.pid) : undefined;
    return { ...worker, here, ...(memoryBytes !== undefined && { memoryBytes }) };
  } catch {
    return undefined;
  }
}

/** The resident set of a process, where the system tells (Linux). */
async function residentBytes(pid: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  return kilobytes === undefined ? undefined : 1024 * Number(kilobytes);
}
