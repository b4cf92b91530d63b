/**
 * What is known of the runs folder, kept current by the server's events: the runs, trainings, the numbers of those
 * shown.
 */
import { signal } from "@preact/signals";
import type { RunSummary, StudioEvent, StudioFacts, Training } from "../../src/studio/api.ts";
import { decodeColumns } from "../../src/studio/columns.ts";
import { ask, askBytes, sentenceOf } from "../base/client.ts";
import { History } from "./history.ts";

export const facts = signal<StudioFacts | undefined>(undefined);
/** Undefined until they are there for the first time. Newest activity first. */
export const runs = signal<readonly RunSummary[] | undefined>(undefined);
export const trainings = signal<readonly Training[]>([]);
export const connection = signal<"connecting" | "open" | "lost">("connecting");
/** What went wrong at last with reading runs. */
export const problem = signal<string | undefined>(undefined);

export interface Held {
  readonly history: History;
  /** Grows with each record: curves are drawn anew. */
  readonly version: number;
}

/** The numbers of runs that were shown. */
export const histories = signal<ReadonlyMap<string, Held>>(new Map());
const reading = new Map<string, Promise<void>>();
const again = new Set<string>();

/** Reads the numbers of a run, or what has come since; one request at a time for each. */
export function follow(run: string): void {
  if (reading.has(run)) {
    again.add(run);
    return;
  }
  const work = readOn(run)
    .then(() => {
      problem.value = undefined;
    })
    .catch((error: unknown) => {
      problem.value = sentenceOf(error);
    })
    .then(() => {
      reading.delete(run);
      if (again.delete(run)) follow(run);
    });
  reading.set(run, work);
}

async function readOn(run: string): Promise<void> {
  const held = histories.peek().get(run);
  if (held === undefined) return hold(run, new History(decodeColumns(await askBytes("GET /api/columns", { run }))), 0);
  const { history } = held;
  const page = await ask("GET /api/metrics", { run, from: history.next, generation: history.generation });
  if (page.reset)
    return hold(run, new History(decodeColumns(await askBytes("GET /api/columns", { run }))), held.version + 1);
  for (const record of page.records) history.append(record);
  history.next = page.next;
  if (page.records.length > 0) hold(run, history, held.version + 1);
  if (page.more) again.add(run);
}

function hold(run: string, history: History, version: number): void {
  histories.value = new Map(histories.peek()).set(run, { history, version });
}

/** Begins to listen. The server tells of everything that there is first, also when a lost connection is there again. */
export async function connect(): Promise<void> {
  const events = new EventSource("/api/events");
  events.onopen = () => {
    connection.value = "open";
    told = { runs: new Map(), trainings: new Map() };
  };
  events.onerror = () => {
    connection.value = "lost";
  };
  events.onmessage = ({ data }: MessageEvent<string>) => hear(JSON.parse(data));
  try {
    facts.value = await ask("GET /api/studio", {});
  } catch (error) {
    problem.value = sentenceOf(error);
  }
}

interface Told {
  readonly runs: Map<string, RunSummary>;
  readonly trainings: Map<string, Training>;
}

/** What the server has told of until it said that it is complete; what it has not told of then is gone. */
let told: Told | undefined;

function hear(event: StudioEvent): void {
  if (event.type === "ready") {
    if (told === undefined) return;
    show(told);
    for (const run of histories.peek().keys()) if (told.runs.has(run)) follow(run);
    told = undefined;
    return;
  }
  const known = told ?? {
    runs: new Map((runs.peek() ?? []).map((summary) => [summary.run, summary])),
    trainings: new Map(trainings.peek().map((training) => [training.id, training])),
  };
  if (event.type === "run") known.runs.set(event.summary.run, event.summary);
  else if (event.type === "removed") known.runs.delete(event.run);
  else known.trainings.set(event.training.id, event.training);
  if (told !== undefined) return;
  show(known);
  if (event.type === "run" && histories.peek().has(event.summary.run)) follow(event.summary.run);
}

function show({ runs: all, trainings: started }: Told): void {
  runs.value = [...all.values()].sort(inOrder);
  trainings.value = [...started.values()].sort((a, b) => b.started - a.started);
}

/** Those that run first, by name, so that they stay where they are; then the newest first. */
function inOrder(a: RunSummary, b: RunSummary): number {
  const running = Number(b.status === "running") - Number(a.status === "running");
  if (running !== 0) return running;
  return a.status === "running" ? (a.run < b.run ? -1 : 1) : b.changed - a.changed;
}
