/**
 * What training a tokenizer is asked for, whoever learns the merges: the request, the sample of text that is learnt from,
 * and how many of the merges are kept.
 */
import { LonghandError } from "../base/errors.ts";
import { sampleText } from "./text-sample.ts";
import type { TextSource } from "./text-source.ts";
import { type Merge, tokenizerJson } from "./tokenizer-file.ts";

export interface TrainingRequest {
  /** One text, or several by weight: each fills its share of the sample, where it has that much text. */
  readonly source: TextSource | readonly WeightedText[];
  /** Tokens wanted, special tokens and the 256 bytes included: 260 … 30000. */
  readonly vocabSize: number;
  /** Decides which pieces are sampled when the text is larger than the sample. */
  readonly seed: number;
  /** The most text to learn from, in bytes; default 16 MiB. */
  readonly sampleBytes?: number;
}

interface WeightedText {
  readonly source: TextSource;
  /** Above 0. */
  readonly weight: number;
}

const FIXED_TOKENS = 3 + 256;
export const MOST_TOKENS = 30_000;
const SAMPLE_BYTES = 16 * 1024 * 1024;

/** Throws "usage" for numbers out of range. */
export function requireTrainable({ vocabSize, seed, sampleBytes = SAMPLE_BYTES }: TrainingRequest): void {
  if (!Number.isInteger(vocabSize) || vocabSize <= FIXED_TOKENS || vocabSize > MOST_TOKENS) {
    throw new LonghandError(
      "usage",
      `vocab: expected a whole number from ${FIXED_TOKENS + 1} to ${MOST_TOKENS}, got ${vocabSize}`,
    );
  }
  if (!Number.isSafeInteger(seed)) throw new LonghandError("usage", `seed: expected a whole number, got ${seed}`);
  if (!Number.isInteger(sampleBytes) || sampleBytes < 1) {
    throw new LonghandError("usage", `sampleBytes: expected a whole number of at least 1, got ${sampleBytes}`);
  }
}

/**
 * The text to learn from, piece by piece. Learning goes line by line: a line feed after each piece bounds the length of
 * lines, and being a word of its own it changes no count.
 */
export async function* sampledLines({
  source,
  seed,
  sampleBytes = SAMPLE_BYTES,
}: TrainingRequest): AsyncGenerator<string> {
  const texts = "pieces" in source ? [{ source, weight: 1 }] : source;
  const total = texts.reduce((sum, { weight }) => sum + weight, 0);
  for (const { source, weight } of texts) {
    const sample = await sampleText(source, { seed, bytes: Math.max(1, Math.floor((sampleBytes * weight) / total)) });
    for (const text of sample) yield `${text}\n`;
  }
}

/** The tokenizer.json of merges learnt up to MOST_TOKENS, cut to the vocabulary that was asked for. */
export function trainedJson(merges: readonly Merge[], { vocabSize }: TrainingRequest): string {
  return tokenizerJson(firstMerges(merges, vocabSize - FIXED_TOKENS));
}

/** Merges in order until `count` different tokens were made; two merges may make the same one. */
function firstMerges(merges: readonly Merge[], count: number): Merge[] {
  const made = new Set<string>();
  const kept: Merge[] = [];
  for (const [left, right] of merges) {
    if (!made.has(left + right) && made.size === count) break;
    made.add(left + right);
    kept.push([left, right]);
  }
  return kept;
}
