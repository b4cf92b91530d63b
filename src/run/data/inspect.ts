/** Describes prepared text: its size, the lengths of its documents, its duplicates, and a sample of documents. */
import { createHash } from "node:crypto";
import { LonghandError } from "../../base/errors.ts";
import { randomKey, randomUint32 } from "../../base/random.ts";
import { parseSettings } from "../../config/fields.ts";
import { type InspectSettings, inspectSettingsSchema } from "../../config/prepare-settings.ts";
import { openShards, type ShardOrigin, type TokenShards } from "../../data/shards.node.ts";
import type { Split } from "../../data/sources/splits.ts";
import { loadTokenizer, type TextTokenizer } from "../../data/tokenizer.node.ts";
import { preparedParts } from "./run-tokens.ts";

export interface LengthRange {
  /** Tokens from … to (exclusive) of a document, its end token included. */
  readonly from: number;
  readonly to: number;
  readonly documents: number;
  readonly tokens: number;
}

export interface SampledDocument {
  /** Number of the document, from 0. */
  readonly document: number;
  readonly tokens: number;
  /** Its beginning. */
  readonly text: string;
}

export interface Inspection {
  readonly split: Split;
  readonly path: string;
  readonly origin: ShardOrigin | undefined;
  readonly vocabSize: number;
  readonly tokenizerDigest: string;
  readonly documents: number;
  readonly tokens: number;
  readonly bytes: number;
  readonly characters: number;
  readonly words: number;
  readonly bytesPerToken: number;
  readonly tokensPerWord: number;
  /** Tokens of a document, its end token included. */
  readonly shortest: number;
  readonly median: number;
  readonly longest: number;
  readonly lengths: readonly LengthRange[];
  /** Documents that equal an earlier one, and their share of all. */
  readonly duplicates: number;
  readonly duplicateShare: number;
  readonly samples: readonly SampledDocument[];
}

export interface InspectOptions extends InspectSettings {
  /** Called with the share that has been read, 0 … 1. */
  readonly onProgress?: ((done: number) => void) | undefined;
}

const SAMPLE_TOKENS = 64;
const READ_TOKENS = 2 ** 20;

/** Describes a folder of token shards, or each of its splits, and verifies it. Throws "data" for any other folder. */
export async function inspectShards(path: string, options: InspectOptions = {}): Promise<Inspection[]> {
  const { onProgress, ...given } = options;
  const settings = parseSettings(inspectSettingsSchema, given);
  const found: Inspection[] = [];
  const parts = Object.entries(preparedParts(path) ?? { train: path });
  for (const [i, [split, folder]] of parts.entries()) {
    const shards = await openShards(folder);
    try {
      const tokenizer = await loadTokenizer(shards.tokenizerPath);
      const onPart = (done: number) => onProgress?.((i + done) / parts.length);
      found.push(await inspect(split as Split, folder, shards, tokenizer, { ...settings, onProgress: onPart }));
    } finally {
      shards.close();
    }
  }
  return found;
}

async function inspect(
  split: Split,
  path: string,
  shards: TokenShards,
  tokenizer: TextTokenizer,
  { samples, seed, onProgress }: InspectOptions & { readonly samples: number; readonly seed: number },
): Promise<Inspection> {
  const { documents, tokens, bytes, characters, words, vocabSize, tokenizerDigest, origin } = shards;
  if (documents === 0) throw new LonghandError("data", `shards: ${path} holds no documents`);
  const lengths = lengthsOf(shards);
  const duplicates = documents - distinct(shards, onProgress);
  const sorted = lengths.toSorted();
  return {
    ...{ split, path, origin, vocabSize, tokenizerDigest, documents, tokens, bytes, characters, words },
    bytesPerToken: bytes / tokens,
    tokensPerWord: tokens / Math.max(1, words),
    shortest: sorted[0],
    median: sorted[documents >> 1],
    longest: sorted[documents - 1],
    lengths: histogram(lengths),
    duplicates,
    duplicateShare: duplicates / documents,
    samples: await sampled(shards, tokenizer, chosen(documents, samples, seed)),
  };
}

function lengthsOf({ documentStarts, tokens }: TokenShards): Float64Array {
  return documentStarts.map((start, i) => (documentStarts[i + 1] ?? tokens) - start);
}

/** Documents by length in ranges that double, from the first that holds any to the last. */
export function histogram(lengths: Float64Array): LengthRange[] {
  const ranges: { from: number; to: number; documents: number; tokens: number }[] = [];
  for (const length of lengths) {
    const power = 31 - Math.clz32(Math.max(1, length));
    ranges[power] ??= { from: 2 ** power, to: 2 ** (power + 1), documents: 0, tokens: 0 };
    ranges[power].documents++;
    ranges[power].tokens += length;
  }
  const first = ranges.findIndex((range) => range !== undefined);
  return Array.from(
    { length: ranges.length - first },
    (_, i) => ranges[first + i] ?? { from: 2 ** (first + i), to: 2 ** (first + i + 1), documents: 0, tokens: 0 },
  );
}

/**
 * The number of different documents, told apart by 64 bits of the SHA-256 of their tokens. That takes eight bytes of memory a
 * document; among ten million, the chance that any two collide is 3 in a million.
 */
function distinct(shards: TokenShards, onProgress: InspectOptions["onProgress"]): number {
  const { documentStarts, documents, tokens } = shards;
  const digests = new BigUint64Array(documents);
  const window = new Int32Array(Math.min(tokens, READ_TOKENS));
  for (let document = 0; document < documents; document++) {
    const end = documentStarts[document + 1] ?? tokens;
    const hash = createHash("sha256");
    for (let at = documentStarts[document]; at < end; at += window.length) {
      const count = Math.min(window.length, end - at);
      shards.read(at, count, window);
      hash.update(new Uint8Array(window.buffer, 0, count * 4));
    }
    digests[document] = hash.digest().readBigUInt64LE(0);
    if (document % 1000 === 0) onProgress?.(end / tokens);
  }
  digests.sort();
  let different = 0;
  for (let i = 0; i < documents; i++) if (i === 0 || digests[i] !== digests[i - 1]) different++;
  return different;
}

/** Up to `count` different documents, drawn by seed, in order. */
function chosen(documents: number, count: number, seed: number): number[] {
  const key = randomKey(seed, "samples");
  const drawn = new Set<number>();
  for (let i = 0; drawn.size < Math.min(count, documents); i++) drawn.add(randomUint32(key, i) % documents);
  return [...drawn].sort((a, b) => a - b);
}

async function sampled(
  shards: TokenShards,
  tokenizer: TextTokenizer,
  numbers: readonly number[],
): Promise<SampledDocument[]> {
  const samples: SampledDocument[] = [];
  for (const document of numbers) {
    const start = shards.documentStarts[document];
    const tokens = (shards.documentStarts[document + 1] ?? shards.tokens) - start;
    const ids = new Int32Array(Math.min(tokens, SAMPLE_TOKENS));
    shards.read(start, ids.length, ids);
    samples.push({ document, tokens, text: (await tokenizer.decode(ids)).replace(/\uFFFD$/, "") });
  }
  return samples;
}
