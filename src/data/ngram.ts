/**
 * Unigram and bigram models of token ids: the perplexities that a neural model has to beat. Both are counted in memory
 * (a map of the distinct pairs), meant for texts up to some ten million tokens.
 */
import { LonghandError } from "../base/errors.ts";
import { sliceTokens, type TokenSequence } from "./token-sequence.ts";

interface NgramRequest {
  readonly train: TokenSequence;
  readonly heldOut: TokenSequence;
  readonly vocabSize: number;
}

export interface NgramPerplexity {
  readonly unigram: number;
  readonly bigram: number;
  /** The weight of the bigram counts in the mixture. */
  readonly weight: number;
}

const TAIL_FRACTION = 0.1;
const MOST_TAIL_TOKENS = 1_000_000;
const READ_TOKENS = 65_536;

/**
 * Perplexity per token of the held-out tokens, all but the first (which no model sees as a target).
 *
 * - unigram: p(w) = (n(w) + 1) / (N + V), counts over the training tokens.
 * - bigram: p(w | v) = weight · n(v w) / n(v ·) + (1 - weight) · p(w), and p(w) alone where v was never seen with a
 *   successor (Jelinek and Mercer 1980). The weight is the maximum-likelihood one for the last tenth of the training
 *   tokens (at most a million) under counts of the rest; the counts then used are those of all the training tokens.
 *
 * Throws "data" when either text has fewer than two tokens or a token outside the vocabulary.
 */
export function ngramPerplexity({ train, heldOut, vocabSize }: NgramRequest): NgramPerplexity {
  if (!Number.isSafeInteger(vocabSize) || vocabSize < 1 || vocabSize > 2 ** 26) {
    throw new LonghandError("usage", `vocabSize: expected a whole number from 1 to 2^26, got ${vocabSize}`);
  }
  for (const [name, sequence] of Object.entries({ train, heldOut })) {
    if (sequence.tokens < 2) {
      throw new LonghandError("data", `${name}: at least 2 tokens are needed to count pairs, got ${sequence.tokens}`);
    }
  }
  const tail = Math.min(Math.floor(train.tokens * TAIL_FRACTION), MOST_TAIL_TOKENS);
  const border = train.tokens - tail;
  const counts = new Counts(vocabSize);
  counts.add(sliceTokens(train, 0, border));
  // The tail begins with the last token before it, so that its first token is a target too.
  const beforeTail = sliceTokens(train, border - 1, train.tokens);
  const weight = tail > 0 ? bestWeight(counts, beforeTail) : 0.5;
  counts.add(beforeTail);

  let unigram = 0;
  let bigram = 0;
  forEachPair(heldOut, vocabSize, (previous, token) => {
    const single = counts.unigram(token);
    const pair = counts.bigram(previous, token);
    unigram -= Math.log(single);
    bigram -= Math.log(pair === undefined ? single : weight * pair + (1 - weight) * single);
  });
  const targets = heldOut.tokens - 1;
  return { unigram: Math.exp(unigram / targets), bigram: Math.exp(bigram / targets), weight };
}

class Counts {
  readonly #vocabSize: number;
  readonly #tokens: Float64Array;
  readonly #predecessors: Float64Array;
  readonly #pairs = new Map<number, number>();
  #total = 0;

  constructor(vocabSize: number) {
    this.#vocabSize = vocabSize;
    this.#tokens = new Float64Array(vocabSize);
    this.#predecessors = new Float64Array(vocabSize);
  }

  /** Counts a sequence; the first token of the very first sequence is counted, of a later one it overlaps. */
  add(sequence: TokenSequence): void {
    if (this.#total === 0) this.#countToken(firstToken(sequence, this.#vocabSize));
    forEachPair(sequence, this.#vocabSize, (previous, token) => {
      this.#countToken(token);
      this.#predecessors[previous]++;
      const key = previous * this.#vocabSize + token;
      this.#pairs.set(key, (this.#pairs.get(key) ?? 0) + 1);
    });
  }

  unigram(token: number): number {
    return (this.#tokens[token] + 1) / (this.#total + this.#vocabSize);
  }

  /** The relative frequency of `token` after `previous`; undefined when nothing was seen after `previous`. */
  bigram(previous: number, token: number): number | undefined {
    const seen = this.#predecessors[previous];
    return seen === 0 ? undefined : (this.#pairs.get(previous * this.#vocabSize + token) ?? 0) / seen;
  }

  #countToken(token: number): void {
    this.#tokens[token]++;
    this.#total++;
  }
}

/**
 * The weight x that maximises Σ log(x b + (1 - x) u), u and b the unigram and bigram probabilities of the tail's tokens:
 * the sum is concave, so the zero of its derivative Σ (b - u) / (x b + (1 - x) u) is found by bisection.
 */
function bestWeight(counts: Counts, tail: TokenSequence): number {
  const singles: number[] = [];
  const differences: number[] = [];
  forEachPair(tail, undefined, (previous, token) => {
    const pair = counts.bigram(previous, token);
    if (pair === undefined) return;
    const single = counts.unigram(token);
    singles.push(single);
    differences.push(pair - single);
  });
  let low = 0;
  let high = 1;
  for (let step = 0; step < 30; step++) {
    const x = (low + high) / 2;
    let slope = 0;
    for (let i = 0; i < singles.length; i++) slope += differences[i] / (singles[i] + x * differences[i]);
    if (slope > 0) low = x;
    else high = x;
  }
  return low;
}

function firstToken(sequence: TokenSequence, vocabSize: number): number {
  const out = new Int32Array(1);
  sequence.read(0, 1, out);
  requireToken(out[0], vocabSize);
  return out[0];
}

function requireToken(token: number, vocabSize: number): void {
  if (token >= 0 && token < vocabSize) return;
  throw new LonghandError("data", `token ${token} is outside the vocabulary of ${vocabSize}`);
}

/** Visits every token but the first, with the token before it. */
function forEachPair(
  sequence: TokenSequence,
  vocabSize: number | undefined,
  visit: (previous: number, token: number) => void,
): void {
  const buffer = new Int32Array(READ_TOKENS + 1);
  for (let start = 0; start < sequence.tokens - 1; start += READ_TOKENS) {
    const length = Math.min(READ_TOKENS, sequence.tokens - 1 - start);
    sequence.read(start, length + 1, buffer);
    if (vocabSize !== undefined) for (let i = 0; i <= length; i++) requireToken(buffer[i], vocabSize);
    for (let i = 1; i <= length; i++) visit(buffer[i - 1], buffer[i]);
  }
}
