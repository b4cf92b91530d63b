/**
 * Held-out loss of whole documents, in memory that does not depend on their length: each is read once, from its first
 * token to its last, a window at a time, and every window goes on from the state that the one before has left. Each
 * document begins a window, so that its tokens stand in the chunks in which a decoder reads them.
 */
import { LonghandError } from "../base/errors.ts";
import type { TokenSequence } from "../data/token-sequence.ts";
import type { CarriedState } from "../nn/past.ts";
import type { CompiledFunction, Engine } from "../runtime/engine.ts";
import { CarriedLanes, emptyLanes, readBy, statesAfter } from "./carried.ts";
import { alone, type Communicator, sumNumbers } from "./communicator.ts";
import { BATCH_TOKENS, type Evaluator, placed, type TextLoss } from "./evaluate.ts";
import { evaluationProgram, type LossProgram, type Model } from "./objective.ts";

export interface WholeEvaluation extends TextLoss {
  readonly documents: number;
  /** Sums of nats by position in the document, in ranges that double (0, 1, 2-3, 4-7, …), and tokens of each range. */
  readonly lossByRange: readonly number[];
  readonly tokensByRange: readonly number[];
}

export interface WholeOptions {
  /** Of the model. */
  readonly carried: CarriedState;
  /** The token at which a document begins. */
  readonly endOfText: number;
  /** The program of the same model for a window of `wholeWindow` tokens, where it has been built before. */
  readonly built?: LossProgram | undefined;
  /** Processes that each read some of the documents, and have the same result. Default: this one alone. */
  readonly communicator?: Communicator | undefined;
}

/** Tokens of the largest window: whole spans, a power of two of them. */
export function wholeWindow({ span }: CarriedState): number {
  return span * 2 ** Math.max(0, Math.floor(Math.log2(BATCH_TOKENS / span)));
}

/** Evaluates a text whose documents each begin with the end-of-text token, from which their first token is predicted. */
export function createWholeEvaluator(
  engine: Engine,
  model: Model,
  { carried, endOfText, built, communicator = alone }: WholeOptions,
): Evaluator<WholeEvaluation> {
  const largest = wholeWindow(carried);
  /** By tokens of the window; the last window of a document has the smallest that holds it. */
  const programs = new Map<number, Compiled>();
  const programFor = async (size: number): Promise<Compiled> => {
    const known = programs.get(size);
    if (known) return known;
    const given = size === largest ? built : undefined;
    const { program } = given ?? evaluationProgram(model, { batch: 1, context: size }, { carried });
    const compiled = { run: await engine.compile(program), inputs: program.inputs };
    programs.set(size, compiled);
    return compiled;
  };
  return {
    async run(parameters, sequence, onProgress) {
      const { inputs, release } = await placed(engine, parameters);
      const lanes = new CarriedLanes({ carried, endOfText, separate: false, lanes: 1 }, emptyLanes(carried, 1));
      const sums = new Sums();
      let documents = 0;
      try {
        for (const window of windowsOf(sequence, { largest, span: carried.span, endOfText })) {
          const { tokens, targets, position, count } = window;
          if (position === 0) documents++;
          if ((documents - 1) % communicator.size !== communicator.rank) continue;
          const { run, inputs: expected } = await programFor(tokens.length);
          const own = { rows: [{ corpus: 0, lane: 0, begins: position === 0 }], tokens };
          const weights = new Float32Array(tokens.length);
          const given = { ...inputs, ...lanes.begin(own), tokens, targets, weights };
          const results = await run.run(readBy(expected, given));
          lanes.end(own, statesAfter(results, carried));
          sums.add(results.losses.subarray(0, count) as Float32Array, position);
          if (onProgress?.((window.at + count) / (sequence.tokens - 1)) === false) break;
        }
      } finally {
        release();
      }
      return { ...(await sums.over(communicator)).result(), documents };
    },
    async release() {
      for (const { run } of programs.values()) await run.release();
      programs.clear();
    },
  };
}

interface Compiled {
  readonly run: CompiledFunction;
  readonly inputs: ReadonlyMap<string, unknown>;
}

/** More than a document can have: the last begins with position 2^62. */
const RANGES = 64;

class Sums {
  #loss = 0;
  #tokens = 0;
  readonly #lossByRange: number[] = [];
  readonly #tokensByRange: number[] = [];

  /** The losses of tokens from `position` on in their document. */
  add(losses: Float32Array, position: number): void {
    for (const [i, loss] of losses.entries()) {
      const range = position + i === 0 ? 0 : 1 + Math.floor(Math.log2(position + i));
      this.#lossByRange[range] = (this.#lossByRange[range] ?? 0) + loss;
      this.#tokensByRange[range] = (this.#tokensByRange[range] ?? 0) + 1;
      this.#loss += loss;
    }
    this.#tokens += losses.length;
  }

  /** The same over all processes. */
  async over(communicator: Communicator): Promise<Sums> {
    if (communicator.size === 1) return this;
    const own = new Float64Array(2 * RANGES + 2);
    own.set(this.#lossByRange);
    own.set(this.#tokensByRange, RANGES);
    own.set([this.#loss, this.#tokens], 2 * RANGES);
    const all = await sumNumbers(communicator, own, { what: "the losses of an evaluation" });
    const sums = new Sums();
    const used = all.subarray(RANGES, 2 * RANGES).findLastIndex((tokens) => tokens > 0) + 1;
    sums.#lossByRange.push(...all.subarray(0, used));
    sums.#tokensByRange.push(...all.subarray(RANGES, RANGES + used));
    [sums.#loss, sums.#tokens] = all.subarray(2 * RANGES);
    return sums;
  }

  result(): Omit<WholeEvaluation, "documents"> {
    const [totalLoss, tokens] = [this.#loss, this.#tokens];
    if (!Number.isFinite(totalLoss)) {
      throw new LonghandError(
        "diverged",
        `evaluation: the loss over ${tokens} tokens is ${totalLoss}; the model holds values that are not finite`,
      );
    }
    const byRange = { lossByRange: this.#lossByRange, tokensByRange: this.#tokensByRange };
    return { loss: totalLoss / tokens, totalLoss, tokens, ...byRange };
  }
}

interface DocumentWindow {
  /** Whole spans; zeros after the first `count`. */
  readonly tokens: Int32Array;
  readonly targets: Int32Array;
  readonly count: number;
  /** Of its first token, in the sequence and in the document. */
  readonly at: number;
  readonly position: number;
}

interface WindowSizes {
  readonly largest: number;
  readonly span: number;
  readonly endOfText: number;
}

/**
 * The windows of all documents, one after the other, in which every token of the sequence but its first is a target exactly
 * once. Throws "data" when the sequence has fewer than two tokens.
 */
export function* windowsOf(
  sequence: TokenSequence,
  { largest, span, endOfText }: WindowSizes,
): Generator<DocumentWindow> {
  if (sequence.tokens < 2) {
    throw new LonghandError("data", `evaluation: at least 2 tokens are needed, and the text has ${sequence.tokens}`);
  }
  const read = new Int32Array(largest + 1);
  let position = 0;
  for (let at = 0; at < sequence.tokens - 1; ) {
    const length = Math.min(largest + 1, sequence.tokens - at);
    sequence.read(at, length, read);
    const end = read.subarray(0, length).indexOf(endOfText, 1); // the last target, and the first token of the next
    const count = end > 0 ? end : length - 1;
    const size = span * 2 ** Math.max(0, Math.ceil(Math.log2(count / span)));
    const [tokens, targets] = [0, 1].map((from) => {
      const window = new Int32Array(size);
      window.set(read.subarray(from, from + count));
      return window;
    });
    yield { tokens, targets, count, at, position };
    at += count;
    position = end > 0 ? 0 : position + count;
  }
}
