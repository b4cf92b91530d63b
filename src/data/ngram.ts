/**
 * Unigram and bigram models of token ids: the perplexities that a neural model has to beat. Both are counted in memory
 * (a map of the distinct pairs), meant for texts up to some ten million tokens.
 */
import { LonghandError } from "../base/errors.ts";
import type { TokenSequence } from "./token-sequence.ts";

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
  counts.add(train, 0, border);
  const weight = tail > 0 ? bestWeight(counts, train, border) : 0.5;
  counts.add(train, border, train.tokens);

  let unigram = 0;
  let bigram = 0;
  counts.visit(heldOut, 1, heldOut.tokens, (token, previous) => {
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

  /** Counts tokens start … end - 1, each with the token before it, where there is one. */
  add(sequence: TokenSequence, start: number, end: number): void {
    this.visit(sequence, start, end, (token, previous) => {
      this.#tokens[token]++;
      this.#total++;
      if (previous < 0) return;
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

  /** Visits tokens start … end - 1 of a sequence with the token before each: -1 for the first of the sequence. */
  visit(sequence: TokenSequence, start: number, end: number, visit: (token: number, previous: number) => void): void {
    const buffer = new Int32Array(READ_TOKENS);
    let previous = -1;
    for (let at = Math.max(0, start - 1); at < end; at += READ_TOKENS) {
      const length = Math.min(READ_TOKENS, end - at);
      sequence.read(at, length, buffer);
      for (let i = 0; i < length; i++) {
        const token = buffer[i];
        if (!(token >= 0 && token < this.#vocabSize)) {
          throw new LonghandError("data", `token ${token} is outside the vocabulary of ${this.#vocabSize}`);
        }
        if (at + i >= start) visit(token, previous);
        previous = token;
      }
    }
  }
}

/**
 * The weight x that maximises Σ log(x b + (1 - x) u) over the training tokens from `border` on, with their unigram and
 * bigram probabilities u and b. The sum is concave: its derivative Σ (b - u) / (x b + (1 - x) u) is zero there.
 */
function bestWeight(counts: Counts, train: TokenSequence, border: number): number {
  const singles: number[] = [];
  const differences: number[] = [];
  counts.visit(train, border, train.tokens, (token, previous) => {
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
