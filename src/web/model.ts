/** A trained model in a page: an export, loaded into a worker of its own and used from here. */

import { LonghandError } from "../base/errors.ts";
import type { FillOptions } from "../config/use-settings.ts";
import type { GeneratedPiece } from "../generate/generate.ts";
import type { FillResult } from "../use/fill.ts";
import type { ScoreRecord } from "../use/score/records.ts";
import { WorkerCalls } from "./calls.ts";
import type { EngineOptions } from "./engine.ts";
import type {
  LoadProgress,
  ModelFacts,
  ModelPlace,
  ModelProtocol,
  WebGenerateSettings,
  WebScoreSettings,
} from "./protocol.ts";
import { COPIES_LIMIT } from "./storage.ts";

export interface LoadModelOptions extends EngineOptions {
  /** Bytes of all copies of models in the private file system together. Default: 2 GB. */
  readonly copiesLimit?: number | undefined;
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
  /** Ends the load where it is; it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Makes the worker, where the bundler cannot: of the module longhand/web/worker. */
  readonly worker?: (() => Worker) | undefined;
}

export interface WebGenerateOptions extends WebGenerateSettings {
  /** Stops between two tokens. */
  readonly signal?: AbortSignal | undefined;
}

export interface WebScoreOptions extends WebScoreSettings {
  /** Stops between two pieces of the text: the record of the document is that of what was read. */
  readonly signal?: AbortSignal | undefined;
}

/** Calls at the same time do not disturb each other. After `close`, or when the GPU device was lost, they throw. */
export interface WebModel {
  readonly facts: ModelFacts;
  /**
   * Streams the continuation of a prompt: pieces of text, then one record of the whole. Memory does not grow with the text,
   * except for softmax Transformers and Combiner. The same seed and settings give the text that they give in Node.
   */
  generate(options: WebGenerateOptions): AsyncGenerator<GeneratedPiece, void, undefined>;
  /** Fills every [MASK] of a text; for a model that was trained with the masked objective. */
  fill(text: string, options?: FillOptions): Promise<FillResult>;
  /** How surprising a text is, in bits: records of lines, of tokens if asked, and of the whole. */
  score(options: WebScoreOptions): AsyncGenerator<ScoreRecord, void, undefined>;
  /** Ends the worker and what it is doing. */
  close(): void;
}

const defaultWorker = () => new Worker(new URL("./worker.js", import.meta.url), { type: "module" });

/**
 * Loads an export. Throws "config", "data" or "checkpoint", naming the file, for one that is incomplete, damaged or none; "io"
 * for what network or storage refuse, "engine" for a device that does not work, "usage" for wrong settings.
 */
export async function loadModel(place: ModelPlace, options: LoadModelOptions = {}): Promise<WebModel> {
  const { copiesLimit = COPIES_LIMIT, onProgress, signal, worker = defaultWorker, device, threads, runtime } = options;
  signal?.throwIfAborted();
  const calls = new WorkerCalls<ModelProtocol>(worker());
  const cancel = () => calls.end(signal?.reason);
  signal?.addEventListener("abort", cancel);
  try {
    const request = { place: absolute(place), copiesLimit, device, threads, runtime };
    return new ModelInWorker(calls, await calls.call("load", request, onProgress));
  } catch (error) {
    calls.end(error);
    throw error;
  } finally {
    signal?.removeEventListener("abort", cancel);
  }
}

/** A URL is relative to the page, not to the script of the worker. */
function absolute(place: ModelPlace): ModelPlace {
  return "url" in place ? { ...place, url: new URL(place.url, document.baseURI).href } : place;
}

class ModelInWorker implements WebModel {
  readonly facts: ModelFacts;
  readonly #calls: WorkerCalls<ModelProtocol>;

  constructor(calls: WorkerCalls<ModelProtocol>, facts: ModelFacts) {
    this.#calls = calls;
    this.facts = facts;
  }

  generate({ signal, ...settings }: WebGenerateOptions): AsyncGenerator<GeneratedPiece, void, undefined> {
    return this.#stream<GeneratedPiece>(() => this.#calls.call("generate", settings), signal);
  }

  fill(text: string, options: FillOptions = {}): Promise<FillResult> {
    return this.#calls.call("fill", { text, options });
  }

  score({ signal, ...settings }: WebScoreOptions): AsyncGenerator<ScoreRecord, void, undefined> {
    return this.#stream<ScoreRecord>(() => this.#calls.call("score", settings), signal);
  }

  close(): void {
    this.#calls.end(new LonghandError("usage", "model: used after it was closed"));
  }

  async *#stream<T>(begin: () => Promise<number>, signal: AbortSignal | undefined): AsyncGenerator<T, void, undefined> {
    const id = await begin();
    const stop = () => void this.#calls.call("stop", id).catch(() => {});
    if (signal?.aborted) stop();
    signal?.addEventListener("abort", stop);
    let ended = false;
    try {
      for (;;) {
        const { done, value } = await this.#calls.call("next", id);
        ended = done === true;
        if (done) return;
        yield value as T;
      }
    } finally {
      signal?.removeEventListener("abort", stop);
      if (!ended) await this.#calls.call("end", id).catch(() => {});
    }
  }
}
