/**
 * Batches as pure functions. The tokens of an example follow from the seed and the example's number within its corpus,
 * so that any example can be read without those before it. mixture.ts decides which corpus comes next.
 */
import { LonghandError } from "../base/errors.ts";
import { permuteIndex, randomKey, randomUniform } from "../base/random.ts";
import type { TokenSequence } from "./token-sequence.ts";

interface TrainingBatchRequest {
  readonly sequence: TokenSequence;
  /** Tokens of one example, at least 1. */
  readonly context: number;
  /** Examples in a batch, at least 1. */
  readonly batch: number;
  readonly seed: number;
  /** Number of the batch, from 0. */
  readonly index: number;
}

export interface TrainingBatch {
  /** [batch, context] */
  readonly tokens: Int32Array;
  /** [batch, context]: the token after each of `tokens`. */
  readonly targets: Int32Array;
}

/** Batch number `index` of a single corpus: its examples `batch` at a time. Throws as `readExample` does. */
export function trainingBatch({ sequence, context, batch, seed, index }: TrainingBatchRequest): TrainingBatch {
  requireWhole("index", index, 0);
  const made = emptyBatch(batch, context);
  for (let row = 0; row < batch; row++) {
    readExample({ sequence, context, seed, example: index * batch + row }, made, row);
  }
  return made;
}

/** A batch of zeros, to be filled by `readExample`. Throws "usage" for numbers below 1. */
export function emptyBatch(batch: number, context: number): TrainingBatch {
  requireWhole("batch", batch, 1);
  requireWhole("context", context, 1);
  return { tokens: new Int32Array(batch * context), targets: new Int32Array(batch * context) };
}

interface ExampleRequest {
  readonly sequence: TokenSequence;
  readonly context: number;
  readonly seed: number;
  /** Number of the example among those of this sequence, from 0. */
  readonly example: number;
  /** Number of the corpus in a mixture, default 0: each has an order of its own. */
  readonly corpus?: number;
}

/**
 * Writes one example to a row of a batch. Examples are windows of context + 1 tokens that tile the sequence. Each epoch
 * visits every window once, in a new random order and with the first window at a new random place. So in each epoch
 * every token is a target once, except the first token of the sequence and the remainder of the division by `context`,
 * which is another stretch of text each time. The tiling wraps around: one window of an epoch may run over the end of
 * the sequence to its beginning, as over a border of documents; where the sequence holds a single window, none does.
 * Throws "data" when the sequence is shorter than context + 1, "usage" for other numbers out of range.
 */
export function readExample(
  { sequence, context, seed, example, corpus = 0 }: ExampleRequest,
  made: TrainingBatch,
  row: number,
): void {
  requireWhole("example", example, 0);
  requireWhole("seed", seed, Number.MIN_SAFE_INTEGER);
  const windows = windowsPerEpoch(sequence.tokens, context);
  const pairs = sequence.tokens - 1;
  const epoch = Math.floor(example / windows);
  const places = windows === 1 ? pairs - context + 1 : pairs;
  const phase = Math.floor(randomUniform(randomKey(seed, epochStream("phase", corpus), epoch), 0) * places);
  const window = permuteIndex(randomKey(seed, epochStream("order", corpus), epoch), windows, example % windows);
  readWindow(sequence, (phase + window * context) % pairs, context, made, row);
}

/** The random numbers of the epochs of a corpus: the first, or only, one has the plain names. */
export function epochStream(purpose: "phase" | "order", corpus: number): string {
  return corpus === 0 ? `epoch ${purpose}` : `epoch ${purpose} ${corpus}`;
}

/** Writes the window from `start` on to a row of a batch; it may run over the end of the sequence to its beginning. */
export function readWindow(
  sequence: TokenSequence,
  start: number,
  context: number,
  made: TrainingBatch,
  row: number,
): void {
  const first = Math.min(context, sequence.tokens - 1 - start);
  const scratch = new Int32Array(context + 1);
  copyWindow(sequence, start, first, scratch, made, row * context);
  copyWindow(sequence, 0, context - first, scratch, made, row * context + first);
}

/** How many examples are one epoch. Throws "data" when the sequence is shorter than context + 1 tokens. */
export function windowsPerEpoch(tokens: number, context: number): number {
  requireWhole("context", context, 1);
  if (tokens < context + 1) {
    throw new LonghandError(
      "data",
      `context: a context of ${context} needs at least ${context + 1} tokens, and the text has ${tokens}; give more text or a smaller context`,
    );
  }
  return Math.floor((tokens - 1) / context);
}

export interface EvaluationRequest {
  readonly sequence: TokenSequence;
  readonly context: number;
  readonly batch: number;
  /** Tokens from the start of a window to that of the next, at most the context. Default: the context. */
  readonly stride?: number | undefined;
}

interface EvaluationBatch extends TrainingBatch {
  /** [batch, context]: 1 where there is a token of the sequence. */
  readonly real: Float32Array;
  /** [batch, context]: 1 where the target counts: in the first window that has it. */
  readonly weights: Float32Array;
  /** Number of targets that count: the sum of `weights`. */
  readonly count: number;
}

/**
 * Windows in the order of the text, `batch` at a time, in which every token of the sequence but its first counts as a
 * target exactly once: with a stride, after at least context - stride tokens in its window, unless that is the first.
 * The last window and the last batch are padded with zeros. Throws "data" when the sequence has fewer than two tokens.
 */
export function* evaluationBatches(request: EvaluationRequest): Generator<EvaluationBatch> {
  const { sequence, context, batch, stride = context } = request;
  if (sequence.tokens < 2) {
    throw new LonghandError("data", `evaluation: at least 2 tokens are needed, and the text has ${sequence.tokens}`);
  }
  const scratch = new Int32Array(context + 1);
  const targets = sequence.tokens - 1;
  const windows = 1 + Math.max(0, Math.ceil((targets - context) / stride));
  for (let first = 0; first < windows; first += batch) {
    const made = emptyBatch(batch, context);
    const [real, weights] = [new Float32Array(batch * context), new Float32Array(batch * context)];
    let count = 0;
    for (let window = first, at = 0; window < Math.min(first + batch, windows); window++, at += context) {
      const length = Math.min(context, targets - window * stride);
      const counted = window === 0 ? 0 : context - stride;
      copyWindow(sequence, window * stride, length, scratch, made, at);
      real.fill(1, at, at + length);
      weights.fill(1, at + counted, at + length);
      count += length - counted;
    }
    yield { ...made, real, weights, count };
  }
}

/** Copies `length` tokens from `start`, and the tokens after each of them, to `at`. */
function copyWindow(
  sequence: TokenSequence,
  start: number,
  length: number,
  scratch: Int32Array,
  { tokens, targets }: TrainingBatch,
  at: number,
): void {
  if (length === 0) return;
  sequence.read(start, length + 1, scratch);
  tokens.set(scratch.subarray(0, length), at);
  targets.set(scratch.subarray(1, length + 1), at);
}

function requireWhole(name: string, value: number, least: number): void {
  if (Number.isSafeInteger(value) && value >= least) return;
  throw new LonghandError("usage", `${name}: expected a whole number of at least ${least}, got ${value}`);
}
