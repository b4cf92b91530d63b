/** What the page knows and does: runs in this browser, the training under way, one worker that does all of it. */
import { signal } from "@preact/signals";
import {
  LonghandError,
  type NewTraining,
  openTrainer,
  type RunList,
  type TrainerEvent,
  type WebTrainer,
} from "longhand/web";

export interface Point {
  readonly step: number;
  readonly loss: number;
}

/** A step, and the seconds of training up to it. */
export interface Step extends Point {
  readonly seconds: number;
}

export interface Sample {
  readonly step: number;
  readonly prompt: string;
  readonly text: string;
}

/** A run that is looked at: trained just now, or as it was left. */
export interface Shown {
  readonly name: string;
  readonly steps: number;
  readonly step: number;
  readonly train: readonly Step[];
  readonly heldOut: readonly Point[];
  readonly samples: readonly Sample[];
  readonly tokensPerSecond?: number;
  /** Why this engine. */
  readonly engine?: string;
  readonly parameters?: number;
  readonly warnings: readonly string[];
}

export type Activity =
  | { readonly kind: "idle" }
  | { readonly kind: "prepare"; readonly stage: string; readonly done: number }
  | { readonly kind: "train"; readonly name: string; readonly stopping: boolean }
  | { readonly kind: "other"; readonly what: string };

export const runs = signal<RunList>({ lasting: true, runs: [] });
export const shown = signal<Shown | undefined>(undefined);
export const activity = signal<Activity>({ kind: "idle" });
export const problem = signal<string | undefined>(undefined);
/** Said aloud by screen readers. */
export const spoken = signal("");

let opened: WebTrainer | undefined;
/** Made when it is first needed; anew after it failed. */
export function trainer(): WebTrainer {
  opened ??= openTrainer();
  return opened;
}

/** Does one thing; what goes wrong is shown. */
export async function attempt<T>(what: Activity, work: (trainer: WebTrainer) => Promise<T>): Promise<T | undefined> {
  if (activity.value.kind !== "idle") return undefined;
  problem.value = undefined;
  activity.value = what;
  try {
    return await work(trainer());
  } catch (error) {
    problem.value = sentence(error);
    spoken.value = problem.value;
    if (!(error instanceof LonghandError) || error.code === "engine") restart();
    return undefined;
  } finally {
    activity.value = { kind: "idle" };
    await loadRuns();
  }
}

function sentence(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/^[a-z](?=[a-z]* )/, (letter) => letter.toUpperCase()); // no name of a file or a setting
}

function restart(): void {
  opened?.close();
  opened = undefined;
}

export async function loadRuns(): Promise<void> {
  try {
    runs.value = await trainer().list();
  } catch (error) {
    problem.value = sentence(error);
    restart();
  }
}

export async function learn(training: NewTraining): Promise<void> {
  const name = await attempt({ kind: "prepare", stage: "Dividing the text into tokens", done: 0 }, (own) =>
    own.begin(training, onEvent),
  );
  if (name === undefined) return;
  await look(name);
  document.getElementById("progress")?.scrollIntoView({ block: "nearest" });
  await goOn(name);
}

export async function goOn(name: string, steps?: number): Promise<void> {
  if (shown.value?.name !== name) await look(name);
  await attempt({ kind: "train", name, stopping: false }, async (own) => {
    const result = await own.train({ name, steps }, onEvent);
    spoken.value = result.finished ? `${name} is trained.` : `${name} is paused at step ${result.step}.`;
  });
}

export async function pause(): Promise<void> {
  if (activity.value.kind === "train") activity.value = { ...activity.value, stopping: true };
  await trainer().stop();
}

/** Shows a run as it was left. */
export async function look(name: string): Promise<void> {
  const lines = await trainer().records(name);
  const run = runs.value.runs.find((one) => one.name === name);
  let next: Shown = {
    ...{ name, step: run?.step ?? 0, steps: run?.steps ?? 0 },
    ...{ train: [], heldOut: [], samples: [], warnings: [] },
  };
  for (const line of lines) next = withRecord(next, JSON.parse(line) as TrainerEvent);
  shown.value = next;
}

function onEvent(event: TrainerEvent): void {
  if (event.type === "prepare") {
    const stage = event.stage === "tokenizer" ? "Learning which letters go together" : "Dividing the text into tokens";
    activity.value = { kind: "prepare", stage, done: event.done };
  } else if (event.type === "start") {
    const { run, config, step, parameters } = event;
    const before = shown.value?.name === run ? shown.value : undefined;
    const upTo = <P extends { readonly step: number }>(points: readonly P[] = []) =>
      points.filter((point) => point.step <= step);
    shown.value = {
      ...{ name: run, steps: config.training.steps, step, parameters, warnings: [] },
      ...(before?.engine !== undefined && { engine: before.engine }),
      ...{ train: upTo(before?.train), heldOut: upTo(before?.heldOut), samples: upTo(before?.samples) },
    };
  } else if (shown.value !== undefined) shown.value = withRecord(shown.value, event);
}

function withRecord(run: Shown, event: TrainerEvent): Shown {
  switch (event.type) {
    case "train": {
      const { step, loss, seconds, tokensPerSecond } = event;
      return {
        ...run,
        step: Math.max(run.step, step),
        tokensPerSecond,
        train: [...run.train, { step, loss, seconds }],
      };
    }
    case "eval":
      return { ...run, heldOut: [...run.heldOut, { step: event.step, loss: event.loss }] };
    case "sample":
      return { ...run, samples: [...run.samples, event] };
    case "engine":
      return { ...run, engine: event.choice.reason };
    case "skip":
      return { ...run, warnings: [...run.warnings, `Step ${event.step} was left out: ${event.reason}.`] };
    case "warning":
      return { ...run, warnings: [...run.warnings, event.message] };
    default:
      return run;
  }
}

/** Hands out a run as a zip file. */
export async function download(name: string): Promise<void> {
  const bytes = await attempt({ kind: "other", what: `Packing ${name}` }, (own) => own.download(name));
  if (bytes === undefined) return;
  const url = URL.createObjectURL(new Blob([bytes], { type: "application/zip" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `${name}.zip`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export async function upload(files: readonly File[]): Promise<void> {
  const name = await attempt({ kind: "other", what: "Reading the files" }, (own) => own.upload(files));
  if (name === undefined) return;
  await look(name);
  spoken.value = `${name} is here.`;
}

export async function remove(name: string): Promise<void> {
  await attempt({ kind: "other", what: `Removing ${name}` }, (own) => own.remove(name));
  if (shown.value?.name === name && problem.value === undefined) shown.value = undefined;
}
