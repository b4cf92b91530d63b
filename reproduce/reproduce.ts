/**
 * The paper's comparison, from settings to a folder with results and a report. Makes a plan, runs each job of it that
 * has no result yet, and writes the report; called again for the same folder, it continues. `onEvent` reports progress.
 */
import { mkdir, readdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { LonghandError } from "longhand";
import { acquireRunLock, requireDevice } from "longhand/tools";
import { Clock } from "./clock.ts";
import { openText, windowOf } from "./data.ts";
import type { Job, TrainJob } from "./jobs.ts";
import { differences, identify } from "./machine.ts";
import { type Manifest, readManifest, requireSameSettings, writeManifest } from "./manifest.ts";
import { importModules } from "./modules.ts";
import { newManifest } from "./new-manifest.ts";
import type { Plan } from "./plan.ts";
import { type Result, readResult, type TrainResult, writeResult } from "./results.ts";
import { type ReproduceSettingsInput, resolveSettings, texts } from "./settings.ts";
import { measureSpeed, type RunContext } from "./speed.ts";
import { measureTraining, workFolder } from "./training.ts";

export type ReproduceEvent =
  | { readonly type: "note" | "warning"; readonly message: string }
  | {
      readonly type: "plan";
      readonly folder: string;
      readonly budget: number;
      readonly preset: string;
      readonly plan: Plan;
      readonly done: number;
    }
  | {
      readonly type: "progress";
      readonly job: string;
      /** Place in the plan, from 1. */
      readonly index: number;
      readonly jobs: number;
      readonly text: string;
      /** Of the whole plan, by the estimate, 0 … 1. */
      readonly done: number;
      readonly secondsLeft: number;
    }
  | { readonly type: "result"; readonly job: string; readonly seconds: number; readonly path: string }
  | { readonly type: "report"; readonly path: string };

export interface ReproduceOptions {
  readonly onEvent?: (event: ReproduceEvent) => void;
  /** Stops after the current step; finished work is kept. */
  readonly signal?: AbortSignal;
  /** Makes the plan and measures nothing. */
  readonly planOnly?: boolean;
  /** Continues although the machine or a version differs from that of the results so far. */
  readonly mixed?: boolean;
  /** Replaces an existing comparison. */
  readonly overwrite?: boolean;
}

export interface ReproduceOutcome {
  readonly folder: string;
  /** Whether every job of the plan has its result. */
  readonly finished: boolean;
  readonly jobs: number;
  readonly done: number;
  /** Path of report.html; undefined where only a plan was made or nothing is measured yet. */
  readonly report: string | undefined;
}

/**
 * Runs a comparison, or continues the one in `out`. Throws `usage` for wrong settings, a budget that is too small, or
 * settings, a machine or versions that differ from the folder's; `data` for a text that cannot be used; `io`.
 */
export async function reproduce(
  input: ReproduceSettingsInput,
  options: ReproduceOptions = {},
): Promise<ReproduceOutcome> {
  const { signal, planOnly = false, overwrite = false } = options;
  const given = absolute(input);
  await importModules(given.modules);
  const settings = resolveSettings(given);
  const folder = settings.out;
  const found = await readManifest(folder).catch(overwrite ? refuseOtherFolders : undefined);
  const stored = overwrite ? undefined : found;
  if (stored !== undefined) {
    requireSameSettings(folder, stored.settings, given);
    requireSameMachine(folder, stored, options.mixed ?? false);
  }
  await requireDevice(settings.device);
  const doing = { ...telling(options), stopRequested: () => signal?.aborted === true };
  if (planOnly) {
    const manifest = stored ?? (await newManifest(settings, doing));
    if (manifest) tellPlan(folder, manifest, await collect(folder, manifest, () => {}), doing);
    return unmeasured(folder, manifest);
  }
  await mkdir(folder, { recursive: true });
  const lock = await acquireRunLock(folder);
  try {
    if (overwrite) await clear(folder);
    const manifest = stored ?? (await newManifest(settings, doing));
    if (manifest === undefined) return unmeasured(folder, undefined);
    if (stored === undefined) await writeManifest(folder, manifest);
    const results = await collect(folder, manifest, doing.onWarning);
    tellPlan(folder, manifest, results, doing);
    await measureMissing(folder, manifest, results, doing);
    return results.size === 0 ? unmeasured(folder, manifest) : await report(folder, manifest, results, doing);
  } finally {
    lock.release();
  }
}

function unmeasured(folder: string, manifest: Manifest | undefined): ReproduceOutcome {
  return { folder, finished: false, jobs: manifest?.plan.jobs.length ?? 0, done: 0, report: undefined };
}

/** Writes the report of a folder again from its results. Throws "usage" for a folder without a comparison. */
export async function rebuildReport(
  folder: string,
  options: Pick<ReproduceOptions, "onEvent"> = {},
): Promise<ReproduceOutcome> {
  const manifest = await readManifest(folder);
  if (manifest === undefined)
    throw new LonghandError("usage", `\`report\` ${folder}: there is no comparison; give the \`out\` of one`);
  const tell = telling(options);
  return await report(folder, manifest, await collect(folder, manifest, tell.onWarning), tell);
}

interface Telling {
  readonly onEvent: (event: ReproduceEvent) => void;
  readonly note: (message: string) => void;
  readonly onWarning: (message: string) => void;
}

interface Doing extends Telling {
  readonly stopRequested: () => boolean;
}

function telling({ onEvent = () => {} }: Pick<ReproduceOptions, "onEvent">): Telling {
  return {
    onEvent,
    note: (message) => onEvent({ type: "note", message }),
    onWarning: (message) => onEvent({ type: "warning", message }),
  };
}

/** Results by job. */
type Results = Map<string, Result>;

/** The given settings, with absolute paths. */
function absolute(input: ReproduceSettingsInput): Record<string, unknown> & { readonly modules?: readonly string[] } {
  const given = Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
  const paths = (["data", "modules"] as const).flatMap((field) => {
    const value = input[field];
    return value === undefined ? [] : [[field, texts(value).map((path) => resolve(path))] as const];
  });
  return { ...given, ...Object.fromEntries(paths) };
}

function refuseOtherFolders(error: unknown): undefined {
  // A comparison that cannot be read may be replaced; a folder of something else may not.
  if (error instanceof LonghandError && error.code === "config") return undefined;
  throw error;
}

async function clear(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name !== ".lock") await rm(join(folder, name), { recursive: true, force: true });
  }
}

function requireSameMachine(folder: string, { identity, settings }: Manifest, mixed: boolean): void {
  const changed = differences(identity, identify(settings));
  if (changed.length === 0 || mixed) return;
  throw new LonghandError(
    "usage",
    `${folder} was begun on another machine or version (${changed.join("; ")}): figures of both in one report would mislead; choose another \`out\`, or go on all the same with \`mixed\``,
  );
}

function tellPlan(folder: string, { settings, plan }: Manifest, { size: done }: Results, { onEvent }: Telling): void {
  const { budget, preset } = settings;
  onEvent({ type: "plan", folder, budget, preset, plan, done });
}

/** The results so far. A damaged one counts as missing, with a warning. */
async function collect(folder: string, { plan }: Manifest, warn: (message: string) => void): Promise<Results> {
  const results: Results = new Map();
  for (const { job } of plan.jobs) {
    try {
      const result = await readResult(folder, job);
      if (result !== undefined) results.set(job.id, result);
    } catch (error) {
      if (!(error instanceof LonghandError) || error.code !== "data") throw error;
      warn(`${error.message}; it is left out and has to be measured again`);
    }
  }
  return results;
}

async function report(
  folder: string,
  manifest: Manifest,
  results: Results,
  { onEvent }: Telling,
): Promise<ReproduceOutcome> {
  const inOrder = manifest.plan.jobs.map(({ job }) => results.get(job.id)).filter((result) => result !== undefined);
  const [done, jobs] = [inOrder.length, manifest.plan.jobs.length];
  const { writeReport } = await import("./report/write.ts"); // its plots take half a second to load
  const path = await writeReport(folder, manifest, inOrder);
  onEvent({ type: "report", path });
  return { folder, finished: done === jobs, jobs, done, report: path };
}

/** Runs every job without a result, until all are done or a stop is requested. */
async function measureMissing(folder: string, manifest: Manifest, results: Results, doing: Doing): Promise<void> {
  const { plan, settings } = manifest;
  const waiting = plan.jobs.filter(({ job }) => !results.has(job.id));
  const { onEvent, note, onWarning, stopRequested } = doing;
  const data = waiting.some(({ job }) => learnsText(job)) ? await openText(folder, manifest, note) : undefined;
  const mark = { format: "longhand-reproduce-result", version: 1, identity: identify(settings) } as const;
  const clock = new Clock(plan, results);
  try {
    for (const { job, seconds: estimate } of waiting) {
      if (stopRequested()) break;
      const place = { job: job.id, index: plan.jobs.findIndex((each) => each.job === job) + 1, jobs: plan.jobs.length };
      const onProgress = (text: string, done: number) =>
        onEvent({ type: "progress", ...place, text, ...clock.at(job.id, done) });
      const context: RunContext = { settings, folder, onProgress, onWarning, stopRequested };
      const started = performance.now();
      const measured =
        job.kind === "speed"
          ? await measureSpeed(job, context)
          : await measureTraining(job, {
              ...{ ...context, lr: rateOf(job, results), window: windowOf(settings) },
              vocabSize: data?.tokenizer.vocabSize ?? settings.vocab,
            });
      if (measured === undefined) break;
      const seconds = (performance.now() - started) / 1000;
      clock.finished(job.id, estimate, seconds);
      const result = { ...mark, finished: new Date().toISOString(), seconds, job, ...measured } as Result;
      await writeResult(folder, result);
      results.set(job.id, result);
      if (job.kind === "train") await rm(workFolder(job, context), { recursive: true, force: true });
      onEvent({ type: "result", job: job.id, seconds, path: join("results", `${job.id}.json`) });
    }
  } finally {
    data?.close();
  }
}

const learnsText = (job: Job) => job.kind === "train" && job.section !== "recall";

/** The learning rate of a job: its own, or the one with which the lowest final loss was reached. */
function rateOf({ lr }: TrainJob, results: ReadonlyMap<string, Result>): number {
  if (typeof lr === "number") return lr;
  const found = lr.bestOf
    .map((id) => results.get(id))
    .filter((result): result is TrainResult => result?.job.kind === "train");
  const whole = found.filter(({ final }) => final !== null);
  const loss = (result: TrainResult) => result.final?.loss ?? Number.POSITIVE_INFINITY;
  const best = whole.reduce((low, each) => (loss(each) < loss(low) ? each : low), whole[0]);
  return best?.lr ?? Math.min(...found.map((result) => result.lr)); // all diverged: the lowest
}
