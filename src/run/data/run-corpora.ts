/** The corpora of a saved configuration: what to open of them, and what they are called while they are trained on. */
import { corporaIn } from "../../config/corpora.ts";
import { documentStartOf, type RunConfig } from "../../config/run-config.ts";
import type { WeightedCorpus } from "../../data/mixture.ts";
import { precededBy, type TokenSequence } from "../../data/token-sequence.ts";
import { partNames } from "./data-names.ts";
import type { RunData } from "./run-tokens.ts";

/**
 * What is learnt, with the names of the corpora. Where documents are kept apart, the first one of a corpus has its border
 * too: a window may go on from the end of the text to its beginning.
 */
export function corporaOf(
  config: RunConfig,
  { train, digests, tokenizer }: RunData,
): (WeightedCorpus & { readonly name: string })[] {
  const parts = corporaIn(config);
  const names = partNames(parts.map(({ path }) => path));
  const start = documentStartOf(config, tokenizer);
  return parts.map(({ weight }, i) => ({
    name: names[i],
    weight,
    sequence: start === undefined ? train[i] : precededBy(start, train[i]),
    digest: digests[i],
  }));
}

/** One corpus of a mixture. */
export interface CorpusOfRun {
  readonly name: string;
  /** Its share of the examples, 0 … 1. */
  readonly share: number;
  /** Tokens to learn. */
  readonly tokens: number;
}

export function sharesOf(corpora: ReturnType<typeof corporaOf>): CorpusOfRun[] {
  const total = corpora.reduce((sum, { weight }) => sum + weight, 0);
  return corpora.map(({ name, weight, sequence }) => ({ name, share: weight / total, tokens: sequence.tokens }));
}

export function tokensOf(sequences: readonly TokenSequence[]): number {
  return sequences.reduce((sum, { tokens }) => sum + tokens, 0);
}
