/** What a run learns from and is measured on: lengths, the held-out end, borders of documents, shares. */
import { LonghandError } from "../base/errors.ts";
import type { RunConfig } from "../config/run-config.ts";
import { documentStartOf } from "../config/trained-config.ts";
import { type DataSpec, nameOf } from "../data/data-spec.ts";
import { tokensForLanes } from "../data/lanes.ts";
import type { WeightedCorpus } from "../data/mixture.ts";
import {
  type HeldOutSplit,
  precededBy,
  sliceTokens,
  splitHeldOut,
  type TokenSequence,
} from "../data/token-sequence.ts";
import type { TextTokenizer } from "../data/tokenizer.ts";

/** A corpus to learn from, with the checksum of its tokens. */
export type NamedCorpus = WeightedCorpus & { readonly name: string };

/** One corpus of a mixture. */
export interface CorpusOfRun {
  readonly name: string;
  /** Its share of the examples, 0 … 1. */
  readonly share: number;
  /** Tokens to learn. */
  readonly tokens: number;
}

export function sharesOf(corpora: readonly NamedCorpus[]): CorpusOfRun[] {
  const total = corpora.reduce((sum, { weight }) => sum + weight, 0);
  return corpora.map(({ name, weight, sequence }) => ({ name, share: weight / total, tokens: sequence.tokens }));
}

export function tokensOf(sequences: readonly TokenSequence[]): number {
  return sequences.reduce((sum, { tokens }) => sum + tokens, 0);
}

/**
 * Where documents are kept apart or states carried on, a border also stands before the first document of a corpus,
 * because a window may run over the end of the corpus to its beginning.
 */
export function withBorder(config: RunConfig, tokenizer: TextTokenizer, train: TokenSequence): TokenSequence {
  const start = config.training.carry ? tokenizer.special.endOfText : documentStartOf(config, tokenizer);
  return start === undefined ? train : precededBy(start, train);
}

/** How many of `evalTokens` fall to a corpus with this share of the examples. */
export function evalShare(evalTokens: number, share: number): number {
  return Math.max(1, Math.round(evalTokens * share));
}

/** A corpus without its end, and the end. Errors name the corpus. */
export function splitEnd(
  all: TokenSequence & { readonly documentStarts: ArrayLike<number> },
  fraction: number,
  data: DataSpec,
): HeldOutSplit {
  try {
    return splitHeldOut(all, fraction, all.documentStarts);
  } catch (error) {
    if (!(error instanceof LonghandError)) throw error;
    throw new LonghandError(error.code, `data: ${nameOf(data)}: ${error.message}`, { cause: error });
  }
}

/** The beginning of a held-out text, so long that at most `most` tokens are predicted. */
export function evaluated(sequence: TokenSequence, most: number, data: DataSpec): TokenSequence {
  if (sequence.tokens < 2) {
    throw new LonghandError(
      "data",
      `data: ${nameOf(data)} leaves 1 token to evaluate on, and at least 2 are needed; give more text`,
    );
  }
  return sliceTokens(sequence, 0, Math.min(sequence.tokens, most + 1));
}

/** Throws "data" for a corpus that is shorter than one example. */
export function requireLength(
  tokens: number,
  { context, carry, carryEvery, batch, accumulate }: RunConfig["training"],
  data: DataSpec,
): void {
  const lanes = carryEvery * batch * accumulate;
  const least = carry ? tokensForLanes(context, lanes) - 1 : context + 1; // lanes have a border before the text
  if (tokens >= least) return;
  const what = carry ? `\`carry\` over ${lanes} lanes with a context` : "a context";
  const needed = `${what} of ${context} needs at least ${least}`;
  throw new LonghandError(
    "data",
    `data: ${nameOf(data)} gives ${tokens} tokens to learn, and ${needed}; give more text or a smaller \`context\`${carry ? ", `batch` or `carryEvery`" : ""}`,
  );
}
