/**
 * The thread of one model: loads it, answers its jobs, and tells what is counted. Requests are answered by another thread,
 * which goes on whatever the engine is doing here.
 */
import { join } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import { LonghandError, messageOf } from "../../base/errors.ts";
import { sha256 } from "../../base/files.node.ts";
import { fill } from "../../run/use/fill.ts";
import { type LoadedModel, loadModel } from "../../run/use/model.ts";
import { failureOf, RequestError } from "../failure.ts";
import type {
  FromModel,
  Job,
  JobResult,
  ModelFacts,
  ModelSetup,
  ModelStatistics,
  Piece,
  ToModel,
} from "../protocol.ts";
import { complete } from "./completions.ts";
import { Lane } from "./lane.ts";
import { embed, score } from "./measures.ts";
import { ServedModel, sessionOf } from "./served-model.ts";
import type { SessionOwner } from "./session-file.ts";
import { SessionFolder } from "./session-folder.ts";
import { Sessions } from "./sessions.ts";

const port = parentPort;
if (port === null) throw new Error("worker runs as a worker thread");
const post = (message: FromModel) => port.postMessage(message);
const setup = workerData as ModelSetup;
const warn = (message: string) => post({ type: "warning", message });

/** How often is told what is counted. */
const STATISTICS_MS = 250;

interface Running {
  readonly controller: AbortController;
  paused: boolean;
}

const jobs = new Map<number, Running>();
let pieces: (readonly [number, Piece])[] = [];

/** Pieces of one step go in one message. */
function tellPieces(): void {
  if (pieces.length > 0) post({ type: "pieces", pieces });
  pieces = [];
}

async function main(): Promise<void> {
  const model = await loadModel(setup.path, { ...setup.load, onWarning: warn });
  const { objective } = model.config.training;
  const folder = objective === "causal" ? await sessionFolder(model) : undefined;
  const served = objective === "causal" ? await causalModel(model, folder) : undefined;
  const tellStatistics = () => {
    if (served) post({ type: "statistics", statistics: statisticsOf(served) });
  };
  tellStatistics();
  const telling = setInterval(tellStatistics, STATISTICS_MS);
  const filling = new Lane();
  post({ type: "ready", facts: factsOf(model, served) });

  async function answer(id: number, job: Job): Promise<void> {
    const running: Running = { controller: new AbortController(), paused: false };
    jobs.set(id, running);
    try {
      const result = await resultOf(id, job, running);
      tellPieces();
      post({ type: "done", id, result });
    } catch (error) {
      tellPieces();
      const failure = failureOf(error);
      if (failure.status === 500) warn(`a request failed: ${error instanceof Error ? error.stack : messageOf(error)}`);
      post({ type: "failed", id, failure });
    } finally {
      jobs.delete(id);
      tellStatistics();
    }
  }

  async function resultOf(id: number, job: Job, running: Running): Promise<JobResult> {
    const { signal } = running.controller;
    if (job.kind === "fill") {
      if (served === undefined) return filling.run(() => fill(model, job.text, { topK: job.topK }));
      throw wrongModel("goes on with a text and does not fill in blanks");
    }
    if (served === undefined) throw wrongModel("fills in blanks and does not go on with a text: use /fill");
    switch (job.kind) {
      case "complete": {
        const tell = (piece: Piece) => void pieces.push([id, piece]);
        return complete(served, job, { signal, paused: () => running.paused, tell });
      }
      case "embed":
        return embed(served, job, signal);
      case "score":
        return score(served, job, signal);
      case "look":
        return served.sessions.look(job.session);
      case "forget":
        return served.sessions.forget(job.session);
    }
  }

  async function stop(): Promise<void> {
    clearInterval(telling);
    await served?.session.release();
    folder?.close();
    await model.close();
    port?.close();
  }

  port?.on("message", (message: ToModel) => {
    if (message.type === "job") return void answer(message.id, message.job);
    if (message.type === "stop") return void stop();
    const running = jobs.get(message.id);
    if (running === undefined) return;
    if (message.type === "cancel") running.controller.abort(new RequestError(499, "the request was cancelled"));
    else running.paused = message.paused;
    served?.together.wake();
  });
}

async function causalModel(model: LoadedModel, folder: SessionFolder | undefined): Promise<ServedModel> {
  const { sessionCount, sessionMegabytes, sessionHours } = setup.settings;
  const limits = { count: sessionCount, bytes: sessionMegabytes * 1e6, ageMs: sessionHours * 3_600_000 };
  const sessions = new Sessions(limits, folder, warn);
  await sessions.open();
  const served = new ServedModel(model, setup, { session: sessionOf(model), sessions, afterStep: tellPieces });
  await warmUp(served);
  return served;
}

/** Prepares what a first request would wait for: the programs that read parts, the rest of a part, and single tokens. */
async function warmUp({ readings, tokenizer, session }: ServedModel): Promise<void> {
  const reader = readings.take();
  const { signal } = new AbortController();
  const most = Math.min(readings.part + 100, session.architecture.maxLength - 1);
  for (const count of [most, 1]) {
    const tokens = new Int32Array(count).fill(tokenizer.special.endOfText);
    await readings.read(reader, { tokens, readout: "last", signal, take: () => {} });
  }
  readings.giveBack(reader);
}

async function sessionFolder(model: LoadedModel): Promise<SessionFolder | undefined> {
  const { sessions } = setup.settings;
  if (sessions === undefined) return undefined;
  const { architecture } = sessionOf(model);
  return SessionFolder.open(join(sessions, setup.name), { architecture, owner: ownerOf(model) });
}

/** Digests of what a state depends on: the configuration and every parameter; the tokenizer. */
function ownerOf({ config, parameters, tokenizer }: LoadedModel): SessionOwner {
  const paths = Object.keys(parameters).sort();
  const model = sha256(
    JSON.stringify(config.model),
    ...paths.flatMap((path) => {
      const { buffer, byteOffset, byteLength } = parameters[path].data;
      return [path, new Uint8Array(buffer, byteOffset, byteLength)];
    }),
  );
  return { model, tokenizer: tokenizer.digest };
}

function factsOf({ config, tokenizer }: LoadedModel, served: ServedModel | undefined): ModelFacts {
  const { architecture, width } = config.model;
  return {
    objective: config.training.objective,
    ...{ architecture, width, vocabSize: tokenizer.vocabSize },
    maxLength: served?.session.architecture.maxLength ?? config.training.context,
    stateBytes: served?.readings.stateBytes ?? 0,
  };
}

function wrongModel(what: string): RequestError {
  return new RequestError(400, `model: ${setup.name} ${what}`, { param: "model" });
}

function statisticsOf({ together, places, counters, sessions, prefixes }: ServedModel): ModelStatistics {
  return {
    ...together.facts,
    ...counters,
    waiting: places.waiting,
    sessions: sessions.facts,
    prefixes: prefixes.facts,
  };
}

main().catch((error: unknown) => {
  const code = error instanceof LonghandError ? error.code : "engine";
  post({ type: "refused", code, message: messageOf(error) });
  port.close();
});
