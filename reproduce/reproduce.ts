/**
 * The paper's comparison as a user means it: from settings to a folder with results and a report, or on from one. Plans,
 * runs each job that has no result yet, and writes the report; everything it tells goes through `onEvent`.
 */

import { mkdir, readdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { LonghandError } from "longhand";
import { acquireRunLock, requireDevice } from "longhand/tools";
import { Clock } from "./clock.ts";
import { openText, windowOf } from "./comparison-text.ts";
import type { ComparisonData } from "./data.ts";
import type { Job, TrainJob } from "./jobs.ts";
import { differences, identify } from "./machine.ts";
import { type Manifest, readManifest, requireSameSettings, writeManifest } from "./manifest.ts";
import { importModules } from "./modules.ts";
import { newManifest } from "./new-manifest.ts";
import type { Plan } from "./plan.ts";
import type { writeReport as WriteReport } from "./report/write.ts";
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
  /** Ends after the step at hand; what was done stays. */
  readonly signal?: AbortSignal;
  /** Only makes the plan. */
  readonly planOnly?: boolean;
  /** Goes on although machine or versions are others than those of the results so far. */
  readonly mixed?: boolean;
  /** Replaces an existing comparison. */
  readonly overwrite?: boolean;
  /** How a setting is called in messages. */
  readonly nameOf?: (field: string) => string;
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
 * Runs the comparison, or goes on with the one in `out`. Throws `usage` for wrong settings, a budget too small, other
 * settings, machine or versions than before; `data` for a text of no use; `io`.
 */
export async function reproduce(
  input: ReproduceSettingsInput,
  options: ReproduceOptions = {},
): Promise<ReproduceOutcome> {
  const { onEvent = () => {}, signal, planOnly = false, nameOf = (field) => field } = options;
  const given = absolute(input);
  await importModules(given.modules);
  const { out: folder, device } = resolveSettings(given, nameOf);
  const stored = options.overwrite ? undefined : await readManifest(folder);
  if (options.overwrite) await readManifest(folder).catch(refuseOtherFolders);
  if (stored !== undefined) {
    requireSameSettings(folder, stored.settings, given, nameOf);
    requireSameMachine(folder, stored, options.mixed ?? false);
  }
  await requireDevice(device);
  const stopRequested = () => signal?.aborted === true;
  const note = (message: string) => onEvent({ type: "note", message });
  if (planOnly) {
    const manifest = stored ?? (await newManifest(resolveSettings(given, nameOf), { note, stopRequested }));
    if (manifest !== undefined) tellPlan(folder, manifest, await doneJobs(folder, manifest), onEvent);
    return { folder, finished: false, jobs: manifest?.plan.jobs.length ?? 0, done: 0, report: undefined };
  }
  await mkdir(folder, { recursive: true });
  const lock = await acquireRunLock(folder);
  try {
    if (options.overwrite) await clear(folder);
    const manifest = stored ?? (await newManifest(resolveSettings(given, nameOf), { note, stopRequested }));
    if (manifest === undefined) return { folder, finished: false, jobs: 0, done: 0, report: undefined };
    if (stored === undefined) await writeManifest(folder, manifest);
    return await run(folder, manifest, { onEvent, stopRequested });
  } finally {
    lock.release();
  }
}

/** As `writeReport`; its plotting library takes half a second to load, and only a report needs it. */
async function reportOf(...about: Parameters<typeof WriteReport>): Promise<string> {
  const { writeReport } = await import("./report/write.ts");
  return writeReport(...about);
}

/** Writes the report of a folder again from its results, without measuring. Throws "usage" for another folder. */
export async function rebuildReport(
  folder: string,
  options: Pick<ReproduceOptions, "onEvent"> = {},
): Promise<ReproduceOutcome> {
  const { onEvent = () => {} } = options;
  const manifest = await readManifest(folder);
  if (manifest === undefined)
    throw new LonghandError("usage", `--report ${folder}: there is no comparison; give the --out of one`);
  const results = await collect(folder, manifest, (message) => onEvent({ type: "warning", message }));
  const path = await reportOf(folder, manifest, [...results.values()]);
  onEvent({ type: "report", path });
  const jobs = manifest.plan.jobs.length;
  return { folder, finished: results.size === jobs, jobs, done: results.size, report: path };
}

/** What was given, with paths that are the same from anywhere. */
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
    `${folder} was begun on another machine or version (${changed.join("; ")}): figures of both in one report would mislead; choose another --out, or go on all the same with --mixed`,
  );
}

function tellPlan(folder: string, manifest: Manifest, done: number, onEvent: (event: ReproduceEvent) => void): void {
  const { budget, preset } = manifest.settings;
  onEvent({ type: "plan", folder, budget, preset, plan: manifest.plan, done });
}

async function doneJobs(folder: string, manifest: Manifest): Promise<number> {
  return (await collect(folder, manifest, () => {})).size;
}

/** The results there are, by job; a damaged one counts as missing and is told. */
async function collect(
  folder: string,
  { plan }: Manifest,
  warn: (message: string) => void,
): Promise<Map<string, Result>> {
  const results = new Map<string, Result>();
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

interface Telling {
  readonly onEvent: (event: ReproduceEvent) => void;
  readonly stopRequested: () => boolean;
}

async function run(folder: string, manifest: Manifest, { onEvent, stopRequested }: Telling): Promise<ReproduceOutcome> {
  const { plan, settings } = manifest;
  const onWarning = (message: string) => onEvent({ type: "warning", message });
  const note = (message: string) => onEvent({ type: "note", message });
  const results = await collect(folder, manifest, onWarning);
  tellPlan(folder, manifest, results.size, onEvent);
  const waiting = plan.jobs.filter(({ job }) => !results.has(job.id));
  const identity = identify(settings);
  const data = waiting.some(({ job }) => job.kind === "train") ? await openText(folder, manifest, note) : undefined;
  const clock = new Clock(plan, results);
  try {
    for (const [i, { job, seconds }] of plan.jobs.entries()) {
      if (results.has(job.id)) continue;
      if (stopRequested()) break;
      const started = performance.now();
      const onProgress = (text: string, done: number) =>
        onEvent({
          type: "progress",
          job: job.id,
          index: i + 1,
          jobs: plan.jobs.length,
          text,
          ...clock.at(job.id, done),
        });
      const context: RunContext = { settings, folder, onProgress, onWarning, stopRequested };
      const measured = await measure(job, context, data, results);
      if (measured === undefined) break;
      const spent = (performance.now() - started) / 1000;
      clock.finished(job.id, seconds, spent);
      const result = {
        ...resultMark,
        identity,
        finished: new Date().toISOString(),
        seconds: spent,
        job,
        ...measured,
      } as Result;
      await writeResult(folder, result);
      results.set(job.id, result);
      if (job.kind === "train") await rm(workFolder(job, context), { recursive: true, force: true });
      onEvent({ type: "result", job: job.id, seconds: spent, path: join("results", `${job.id}.json`) });
    }
  } finally {
    data?.close();
  }
  const inOrder = plan.jobs.map(({ job }) => results.get(job.id)).filter((result) => result !== undefined);
  const report = inOrder.length > 0 ? await reportOf(folder, manifest, inOrder) : undefined;
  if (report !== undefined) onEvent({ type: "report", path: report });
  return {
    folder,
    finished: inOrder.length === plan.jobs.length,
    jobs: plan.jobs.length,
    done: inOrder.length,
    report,
  };
}

const resultMark = { format: "longhand-reproduce-result", version: 1 } as const;

async function measure(
  job: Job,
  context: RunContext,
  data: ComparisonData | undefined,
  results: ReadonlyMap<string, Result>,
) {
  if (job.kind === "speed") return await measureSpeed(job, context);
  if (data === undefined) throw new Error("the text of a training was not opened");
  const { vocabSize } = data.tokenizer;
  return await measureTraining(job, {
    ...context,
    lr: rateOf(job, results),
    vocabSize,
    window: windowOf(context.settings),
  });
}

/** The learning rate of a job: its own, or the one with which the lowest final loss was reached. */
function rateOf({ lr }: TrainJob, results: ReadonlyMap<string, Result>): number {
  if (typeof lr === "number") return lr;
  const found = lr.bestOf
    .map((id) => results.get(id))
    .filter((result): result is TrainResult => result?.job.kind === "train");
  const whole = found.filter(({ final }) => final !== null);
  const loss = (result: TrainResult) => result.final?.loss ?? Number.POSITIVE_INFINITY;
  const best = whole.reduce((low, each) => (loss(each) < loss(low) ? each : low), whole[0]);
  return best?.lr ?? Math.min(...found.map((result) => result.lr)); // all diverged: the most cautious
}
