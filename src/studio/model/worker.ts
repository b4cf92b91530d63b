/** The thread of one model: reads, writes and scores texts, fills blanks, shows what attention sees. */
import { setImmediate as turn } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { Continuation } from "../../generate/continuation.ts";
import { tokenText } from "../../generate/token-text.ts";
import { architectureOf } from "../../models/registry.ts";
import { type LoadedModel, loadModel } from "../../run/use/model.ts";
import { RequestError } from "../../service/failure.ts";
import { JobPort, type PortJob, type PortWork } from "../../service/job-port.ts";
import { Lane } from "../../service/lane.ts";
import { AttentionViewer, showsAttention } from "../../use/attention.ts";
import { fill } from "../../use/fill.ts";
import type { Attention } from "../api.ts";
import type { Answered, Setup, Studying, WriteJob } from "./protocol.ts";
import { scoreText } from "./score.ts";
import { StudyText } from "./text.ts";

const port = new JobPort<Studying>(parentPort);
const setup = workerData as Setup;

/** How many texts are kept: the one unused for longest goes first. */
const TEXTS = 8;
const LONGEST_PROMPT = 16_384;

type Job = Studying["job"];
type Result = Studying["results"][Job["kind"]];

class Study {
  readonly #model: LoadedModel;
  readonly #texts = new Map<number, StudyText>();
  /** Texts change one at a time; scoring has a decoder of its own. */
  readonly #lane = new Lane();
  #viewer: AttentionViewer | undefined;
  #last = 0;

  constructor(model: LoadedModel) {
    this.#model = model;
  }

  run(job: Job, running: PortJob<Studying>): Promise<Result> {
    switch (job.kind) {
      case "text":
        return this.#lane.run(() => this.#read(job.prompt, job.top, running));
      case "write":
        return this.#lane.run(() => this.#write(job, running));
      case "attention":
        return this.#lane.run(() => this.#attention(job.text, job.position));
      case "fill":
        return this.#lane.run(() => this.#fill(job.text, job.topK));
      case "score":
        return scoreText(this.#model, job.text, { running, flush: () => port.flushSoon() });
    }
  }

  async #read(prompt: string, top: number, { signal }: PortJob<Studying>): Promise<Answered> {
    const { tokenizer, config, decoders } = this.#model;
    if (config.training.objective !== "causal")
      throw new RequestError(400, "this model fills in blanks and does not go on with a text");
    const tokens = prompt === "" ? [tokenizer.special.endOfText] : await tokenizer.encode(prompt);
    if (tokens.length > LONGEST_PROMPT)
      throw new RequestError(400, `prompt: expected at most ${LONGEST_PROMPT} tokens, got ${tokens.length}; score it`);
    const text = await StudyText.begin(tokenizer, await decoders.take());
    const read = await text.read(tokens, top, signal);
    const number = ++this.#last;
    this.#texts.set(number, text);
    const [oldest] = this.#texts.keys();
    if (this.#texts.size > TEXTS) this.#texts.delete(oldest);
    return { text: number, tokens: read, ...text.next(top) };
  }

  async #write(job: WriteJob, { signal, tell, unpaused }: PortJob<Studying>): Promise<Studying["results"]["write"]> {
    const { keep, token, count, top, seed, ...sampling } = samplingOf(job);
    const { tokenizer } = this.#model;
    const text = this.#text(job.text);
    const { vocabSize } = tokenizer;
    if (token !== undefined && token >= vocabSize)
      throw new RequestError(400, `token: expected one below ${vocabSize}, got ${token}`);
    const continuation = new Continuation({ ...sampling, tokenizer, vocabSize: this.#vocabSize, seed, stop: [] });
    await text.keep(keep ?? text.tokens.length);
    const add = async (token: number) => {
      const at = text.tokens.length;
      const [described] = await text.read([token], top);
      tell({ type: "token", at, token: described });
      port.flushSoon();
    };
    if (token !== undefined) await add(token);
    continuation.read(text.tokens);
    const begun = performance.now();
    let written = 0;
    let reason: "end" | "count" | "cancelled" = "count";
    for (; written < count; written++) {
      await turn(); // a cancellation must arrive
      await unpaused();
      if (signal.aborted) {
        reason = "cancelled";
        break;
      }
      const next = continuation.choose(text.logits);
      if (next === undefined) {
        reason = "end";
        break;
      }
      await add(next);
    }
    const tokensPerSecond = written === 0 ? 0 : (1000 * written) / (performance.now() - begun);
    return { type: "end", reason, length: text.tokens.length, ...text.next(top), tokensPerSecond };
  }

  async #attention(number: number, position: number): Promise<Attention> {
    const tokens = Int32Array.from(this.#text(number).tokens);
    this.#viewer ??= new AttentionViewer(this.#model);
    const { start, chunk, layers } = await this.#viewer.at(tokens, position);
    const seen = Array.from(tokens.subarray(start, position + 1));
    return {
      ...{ position, start, chunk },
      tokens: seen.map((id) => ({ id, text: tokenText(this.#model.tokenizer, id) })),
      layers: layers.map(({ heads, localNorm, distantNorm }) => {
        const sum = localNorm + (distantNorm ?? 0);
        const localShare = sum === 0 ? null : localNorm / sum;
        return { heads: heads.map((weights) => Array.from(weights)), localNorm, distantNorm, localShare };
      }),
    };
  }

  async #fill(text: string, topK: number): Promise<Studying["results"]["fill"]> {
    const filled = await fill(this.#model, text, { topK });
    const blanks = filled.blanks.map((own) => own.map(({ token, ...rest }) => ({ id: token, ...rest })));
    return { text: filled.text, blanks };
  }

  #text(number: number): StudyText {
    const text = this.#texts.get(number);
    if (text === undefined) throw new RequestError(404, "this text has been forgotten: read it again");
    this.#texts.delete(number);
    this.#texts.set(number, text); // as the newest
    return text;
  }

  get #vocabSize(): number {
    return this.#model.config.model.vocabSize;
  }
}

/** A write job without what says which text it is of. */
function samplingOf({ kind: _, text: __, ...rest }: WriteJob) {
  return rest;
}

void port.serve(async (): Promise<PortWork<Studying>> => {
  const model = await loadModel(setup.path, { ...setup.load, onWarning: (message) => port.warn(message) });
  const study = new Study(model);
  const { model: config, training } = model.config;
  const maxLength = architectureOf(config).maxLength(config);
  return {
    facts: {
      ...{ objective: training.objective, architecture: config.architecture, step: model.step },
      ...{ vocabSize: model.tokenizer.vocabSize, context: training.context, layers: config.layers },
      ...{ maxLength: Number.isFinite(maxLength) ? maxLength : null, attention: showsAttention(config) },
    },
    run: (job, running) => study.run(job, running),
    stop: () => model.close(),
  };
});
