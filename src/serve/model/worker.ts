/**
 * The thread of one model: loads it, answers its jobs, and tells what is counted. Requests are answered by another thread,
 * which goes on whatever the engine is doing here.
 */
import { join } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import { sha256 } from "../../base/files.node.ts";
import { type LoadedModel, loadModel } from "../../run/use/model.ts";
import { RequestError } from "../../service/failure.ts";
import { JobPort, type PortJob, type PortWork } from "../../service/job-port.ts";
import { Lane } from "../../service/lane.ts";
import { fill } from "../../use/fill.ts";
import type { Job, JobResult, ModelFacts, ModelSetup, ModelStatistics, Serving } from "../protocol.ts";
import { complete } from "./completions.ts";
import { embed, score } from "./measures.ts";
import { ServedModel, sessionOf } from "./served-model.ts";
import type { SessionOwner } from "./session-file.ts";
import { SessionFolder } from "./session-folder.ts";
import { Sessions } from "./sessions.ts";

const port = new JobPort<Serving>(parentPort);
const setup = workerData as ModelSetup;
const warn = (message: string) => port.warn(message);

/** How often is told what is counted. */
const STATISTICS_MS = 250;

async function prepare(): Promise<PortWork<Serving>> {
  const model = await loadModel(setup.path, { ...setup.load, onWarning: warn });
  const { objective } = model.config.training;
  const folder = objective === "causal" ? await sessionFolder(model) : undefined;
  const served = objective === "causal" ? await causalModel(model, folder) : undefined;
  const tellStatistics = () => {
    if (served) port.count(statisticsOf(served));
  };
  tellStatistics();
  const telling = setInterval(tellStatistics, STATISTICS_MS);
  const filling = new Lane();

  async function run(job: Job, { signal, paused, tell }: PortJob<Serving>): Promise<JobResult> {
    if (job.kind === "fill") {
      if (served === undefined) return filling.run(() => fill(model, job.text, { topK: job.topK }));
      throw wrongModel("goes on with a text and does not fill in blanks");
    }
    if (served === undefined) throw wrongModel("fills in blanks and does not go on with a text: use /fill");
    switch (job.kind) {
      case "complete":
        return complete(served, job, { signal, paused, tell });
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
  }

  const changed = () => served?.together.wake();
  return { facts: factsOf(model, served), run, changed, ended: tellStatistics, stop };
}

async function causalModel(model: LoadedModel, folder: SessionFolder | undefined): Promise<ServedModel> {
  const { sessionCount, sessionMegabytes, sessionHours } = setup.settings;
  const limits = { count: sessionCount, bytes: sessionMegabytes * 1e6, ageMs: sessionHours * 3_600_000 };
  const sessions = new Sessions(limits, folder, warn);
  await sessions.open();
  const served = new ServedModel(model, setup, {
    session: sessionOf(model),
    sessions,
    afterStep: () => port.flushSoon(),
  });
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

void port.serve(prepare);
