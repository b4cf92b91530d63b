/**
 * Batches as pure functions: which tokens an example holds follows from the seed and its number among the examples of its
 * corpus alone, so that any of them can be had without those before it. Which corpus comes next is mixture.ts.
 */
import { LonghandError } from "../base/errors.ts";
import { permuteIndex, randomKey, randomUniform } from "../base/random.ts";
import type { TokenSequence } from "./token-sequence.ts";

export interface TrainingBatchRequest {
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

export interface ExampleRequest {
  readonly sequence: TokenSequence;
  readonly context: number;
  readonly seed: number;
  /** Number of the example among those of this sequence, from 0. */
  readonly example: number;
  /** Number of the corpus in a mixture, default 0: each has an order of its own. */
  readonly corpus?: number;
}

/**
 * Writes one example to a row of a batch. Examples are windows of context + 1 tokens that tile the sequence. In each epoch
 * (one visit of every window) the tiles start at another random place and come in another random order. Every token is a
 * target once an epoch, apart from the first token of the sequence and from the remainder of the division by `context`,
 * another stretch each time. The tiling goes round: one window an epoch may continue from the end of the sequence to its
 * beginning, as at a border of documents; a sequence that holds a single window is never turned like this.
 * Throws "data" when the sequence is shorter than context + 1, "usage" for other numbers out of range.
 */
export function readExample(
  { sequence, context, seed, example, corpus = 0 }: ExampleRequest,
  { tokens, targets }: TrainingBatch,
  row: number,
): void {
  requireWhole("example", example, 0);
  requireWhole("seed", seed, Number.MIN_SAFE_INTEGER);
  const windows = windowsPerEpoch(sequence.tokens, context);
  const pairs = sequence.tokens - 1;
  const epoch = Math.floor(example / windows);
  const places = windows === 1 ? pairs - context + 1 : pairs;
  const own = corpus === 0 ? "" : ` ${corpus}`; // the first, or only, corpus has the plain names
  const phase = Math.floor(randomUniform(randomKey(seed, `epoch phase${own}`, epoch), 0) * places);
  const window = permuteIndex(randomKey(seed, `epoch order${own}`, epoch), windows, example % windows);
  const start = (phase + window * context) % pairs;
  const first = Math.min(context, pairs - start);
  const scratch = new Int32Array(context + 1);
  copyWindow(sequence, start, first, scratch, tokens, targets, row * context);
  copyWindow(sequence, 0, context - first, scratch, tokens, targets, row * context + first);
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

export interface EvaluationWindow {
  /** [context], 0 after the first `length`. */
  readonly tokens: Int32Array;
  /** [context], 0 after the first `length`. */
  readonly targets: Int32Array;
  /** Number of real targets. */
  readonly length: number;
}

/**
 * Consecutive windows in which every token of the sequence but its first is a target exactly once; the last one may be
 * shorter and is padded with zeros. Throws "data" when the sequence has fewer than two tokens.
 */
export function* evaluationWindows(sequence: TokenSequence, context: number): Generator<EvaluationWindow> {
  requireWhole("context", context, 1);
  if (sequence.tokens < 2) {
    throw new LonghandError("data", `evaluation: at least 2 tokens are needed, and the text has ${sequence.tokens}`);
  }
  const scratch = new Int32Array(context + 1);
  for (let start = 0; start < sequence.tokens - 1; start += context) {
    const length = Math.min(context, sequence.tokens - 1 - start);
    const tokens = new Int32Array(context);
    const targets = new Int32Array(context);
    copyWindow(sequence, start, length, scratch, tokens, targets, 0);
    yield { tokens, targets, length };
  }
}

export interface EvaluationRequest {
  readonly sequence: TokenSequence;
  readonly context: number;
  readonly batch: number;
}

export interface EvaluationBatch extends TrainingBatch {
  /** [batch, context]: 1 where there is a target, 0 where the batch is padded. */
  readonly weights: Float32Array;
  /** Number of real targets: the sum of `weights`. */
  readonly count: number;
}

/** The windows of `evaluationWindows`, `batch` at a time; the last batch is padded with rows of weight 0. */
export function* evaluationBatches({ sequence, context, batch }: EvaluationRequest): Generator<EvaluationBatch> {
  requireWhole("batch", batch, 1);
  let rows: EvaluationWindow[] = [];
  for (const window of evaluationWindows(sequence, context)) {
    rows.push(window);
    if (rows.length < batch) continue;
    yield stackWindows(rows, context, batch);
    rows = [];
  }
  if (rows.length > 0) yield stackWindows(rows, context, batch);
}

function stackWindows(rows: readonly EvaluationWindow[], context: number, batch: number): EvaluationBatch {
  const tokens = new Int32Array(batch * context);
  const targets = new Int32Array(batch * context);
  const weights = new Float32Array(batch * context);
  let count = 0;
  for (const [row, window] of rows.entries()) {
    tokens.set(window.tokens, row * context);
    targets.set(window.targets, row * context);
    weights.fill(1, row * context, row * context + window.length);
    count += window.length;
  }
  return { tokens, targets, weights, count };
}

/** Copies `length` tokens from `start`, and the tokens after each of them, to `at`. */
function copyWindow(
  sequence: TokenSequence,
  start: number,
  length: number,
  scratch: Int32Array,
  tokens: Int32Array,
  targets: Int32Array,
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
