/** The script of the worker that owns an engine and a model, so that the page never waits: it answers the calls of protocol.ts. */
import { LonghandError } from "../base/errors.ts";
import { fill } from "../use/fill.ts";
import { generate } from "../use/generate.ts";
import { answerCalls, type WorkerScope } from "./calls.ts";
import type { ModelProtocol } from "./protocol.ts";
import { loadInWorker, scoreText, type WorkerModel } from "./worker-model.ts";

type Piece = ModelProtocol["next"]["result"] extends IteratorResult<infer T, void> ? T : never;

interface Stream {
  readonly pieces: AsyncGenerator<Piece, void, undefined>;
  readonly stop: AbortController;
}

const streams = new Map<number, Stream>();
let loaded: WorkerModel | undefined;

function modelOf(): WorkerModel["model"] {
  if (loaded === undefined) throw new LonghandError("usage", "model: it has not been loaded");
  return loaded.model;
}

function begin(piecesOf: (signal: AbortSignal) => Stream["pieces"]): number {
  const stop = new AbortController();
  const id = Math.max(0, ...streams.keys()) + 1;
  streams.set(id, { pieces: piecesOf(stop.signal), stop });
  return id;
}

const fail = answerCalls<ModelProtocol>(self as unknown as WorkerScope, {
  async load(request, tell) {
    if (loaded !== undefined) throw new LonghandError("usage", "model: this worker has one already");
    loaded = await loadInWorker(request, tell);
    loaded.lost.catch(fail);
    return loaded.facts;
  },
  fill: async ({ text, options }) => fill(modelOf(), text, options),
  generate: async (settings) => begin((signal) => generate(modelOf(), { ...settings, signal })),
  score: async (settings) => begin((signal) => scoreText(modelOf(), settings, signal)),
  async next(id) {
    const result = await streams.get(id)?.pieces.next();
    if (result === undefined || result.done) streams.delete(id);
    return result ?? { done: true, value: undefined };
  },
  async stop(id) {
    streams.get(id)?.stop.abort();
    return undefined;
  },
  async end(id) {
    await streams.get(id)?.pieces.return();
    streams.delete(id);
    return undefined;
  },
});
