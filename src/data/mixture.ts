/**
 * Training examples of several corpora, drawn by weight. The corpus of example number n follows from the seed and n
 * alone. Within a corpus, examples come in the order of batches.ts whatever the other corpora do, so each corpus has
 * epochs of its own. The number of examples drawn from each corpus is the place in the data; training resumes from it
 * at once.
 */
import { LonghandError } from "../base/errors.ts";
import { randomKey, randomUniform } from "../base/random.ts";
import { emptyBatch, readExample, type TrainingBatch } from "./batches.ts";
import type { TokenSequence } from "./token-sequence.ts";

export interface WeightedCorpus {
  readonly sequence: TokenSequence;
  /** Above 0; an example is of this corpus with the probability weight / sum of the weights. */
  readonly weight: number;
  /** Digest of its content, where that is known. */
  readonly digest?: string;
}

/** A place in the data, as it is saved in a checkpoint. */
export interface DataCursor {
  /** Examples drawn so far. */
  readonly examples: number;
  /** How many of them came from each corpus. */
  readonly drawn: readonly number[];
  /** Windows that each lane has read of each corpus, where they are read in the order of the text (lanes.ts). */
  readonly lanes?: readonly (readonly number[])[] | undefined;
  /** Tokens of each corpus, and their digests where known; where either differs, it is another corpus. */
  readonly tokens: readonly number[];
  readonly digests?: readonly string[] | undefined;
}

/** The place before the first example; where each corpus is read in lanes, that of every lane. */
export function firstPlace(corpora: readonly WeightedCorpus[], lanes = 0): DataCursor {
  const begun = lanes > 0 && { lanes: corpora.map(() => new Array<number>(lanes).fill(0)) };
  return { examples: 0, drawn: corpora.map(() => 0), ...begun, ...contentOf(corpora) };
}

/** What identifies the corpora that a place belongs to. */
export function contentOf(
  corpora: readonly { readonly sequence: { readonly tokens: number }; readonly digest?: string }[],
): Pick<DataCursor, "tokens" | "digests"> {
  const digests = corpora.flatMap(({ digest }) => digest ?? []);
  const tokens = corpora.map(({ sequence }) => sequence.tokens);
  return { tokens, ...(digests.length === corpora.length && { digests }) };
}

export interface MixtureBatchRequest {
  /** At least one; the same corpora in the same order from the first example on. */
  readonly corpora: readonly WeightedCorpus[];
  /** Tokens of one example, at least 1. */
  readonly context: number;
  /** Examples in a batch, at least 1. */
  readonly batch: number;
  readonly seed: number;
  readonly cursor: DataCursor;
}

/**
 * The next `batch` examples and the place after them. With one corpus they are those of `trainingBatch`. Throws "data"
 * when a corpus that is drawn is shorter than context + 1, "usage" for numbers out of range.
 */
export function mixtureBatch({ corpora, context, batch, seed, cursor }: MixtureBatchRequest): {
  readonly batch: TrainingBatch;
  readonly cursor: DataCursor;
} {
  if (corpora.length === 0 || cursor.drawn.length !== corpora.length) {
    throw new LonghandError(
      "usage",
      `mixture: expected a place in each of ${corpora.length} corpora, got ${cursor.drawn.length}`,
    );
  }
  const choose = chooser(corpora, seed);
  const made = emptyBatch(batch, context);
  const drawn = [...cursor.drawn];
  for (let row = 0; row < batch; row++) {
    const corpus = choose(cursor.examples + row);
    readExample({ sequence: corpora[corpus].sequence, context, seed, example: drawn[corpus], corpus }, made, row);
    drawn[corpus]++;
  }
  return { batch: made, cursor: { ...cursor, examples: cursor.examples + batch, drawn } };
}

/** The place after so many examples that are not read. */
export function skipExamples(
  { corpora, seed, cursor }: Pick<MixtureBatchRequest, "corpora" | "seed" | "cursor">,
  count: number,
): DataCursor {
  if (count === 0) return cursor;
  const choose = chooser(corpora, seed);
  const drawn = [...cursor.drawn];
  for (let i = 0; i < count; i++) drawn[choose(cursor.examples + i)]++;
  return { ...cursor, examples: cursor.examples + count, drawn };
}

/** Chooses the corpus of an example by its number: the first whose running sum of weights exceeds a random number. */
export function chooser(corpora: readonly WeightedCorpus[], seed: number): (example: number) => number {
  const ends: number[] = [];
  let total = 0;
  for (const { weight } of corpora) {
    if (!(weight > 0 && Number.isFinite(weight))) {
      throw new LonghandError("usage", `mixture: expected weights above 0, got ${weight}`);
    }
    total += weight;
    ends.push(total);
  }
  const key = randomKey(seed, "mixture");
  return (example) => {
    const at = randomUniform(key, example) * total;
    const found = ends.findIndex((end) => at < end);
    return found < 0 ? corpora.length - 1 : found;
  };
}
