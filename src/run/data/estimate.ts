/** Estimates a preparation from a sample of the text: nothing is written, and little is fetched from the hub. */

import { LonghandError } from "../../base/errors.ts";
import { parseSettings } from "../../config/fields.ts";
import {
  type PrepareSettings,
  type PrepareSettingsInput,
  prepareSettingsSchema,
} from "../../config/prepare-settings.ts";
import type { DataSpec } from "../../data/data-spec.ts";
import { defaultEncoders } from "../../data/encode-pool.node.ts";
import { encodedBatches } from "../../data/encoded-batches.node.ts";
import { parseLimit } from "../../data/limit.ts";
import { openCorpus } from "../../data/sources/corpus.ts";
import type { Split } from "../../data/sources/splits.ts";
import type { TextSource } from "../../data/text-source.ts";
import { textInMemory } from "../../data/text-source.ts";
import { loadTokenizer, type TextTokenizer, trainTokenizer } from "../../data/tokenizer.node.ts";
import { partsOf, textOptions } from "./prepare.ts";

export interface SplitEstimate {
  readonly split: Split;
  readonly files: number;
  /** Compressed, where the files are. */
  readonly storedBytes: number;
  readonly textBytes: number;
  readonly documents: number;
  readonly tokens: number;
  /** Of the token shards. */
  readonly shardBytes: number;
  /** On this machine, without downloads. */
  readonly seconds: number;
}

export interface PrepareEstimate {
  readonly data: DataSpec;
  readonly splits: readonly SplitEstimate[];
}

/** Text sampled from each of two files of the first split, and from one file of each other split. */
const LOOK_BYTES = 4 * 1024 * 1024;

/** Batches at the beginning that do not count in the rate when there are at least twice as many. */
const MOST_FIRST = 6;

interface Look {
  readonly texts: readonly string[];
  readonly bytes: number;
  readonly documents: number;
  /** Bytes of text per stored byte. */
  readonly ratio: number;
}

/** Throws what the preparation would throw for the sampled text. */
export async function estimatePreparation(input: PrepareSettingsInput): Promise<PrepareEstimate> {
  const settings = parseSettings(prepareSettingsSchema, input);
  const corpus = await openCorpus(settings.data, { ...textOptions(settings), limit: undefined, remote: true });
  try {
    const parts = partsOf(corpus, settings);
    const looks: Look[] = [];
    for (const [i, { source }] of parts.entries()) looks.push(await lookAt(source, i === 0));
    const { tokensPerByte, bytesPerSecond, trainingSeconds, vocabSize } = await measure(looks[0], settings);
    const splits = parts.map(({ split, source }, i) => {
      const { textBytes, documents } = amount(source, looks[i], settings.limit);
      const tokens = Math.round(textBytes * tokensPerByte + documents);
      return {
        split,
        files: source.inputs.length,
        storedBytes: source.totalBytes,
        textBytes,
        documents,
        tokens,
        shardBytes: tokens * (vocabSize <= 65_536 ? 2 : 4) + documents * 8,
        seconds: textBytes / bytesPerSecond + (i === 0 ? trainingSeconds : 0),
      };
    });
    return { data: corpus.data, splits };
  } finally {
    await corpus.close();
  }
}

async function lookAt(source: TextSource, thorough: boolean): Promise<Look> {
  const inputs = thorough ? new Set([0, source.inputs.length >> 1]) : new Set([0]);
  const texts: string[] = [];
  let bytes = 0;
  let documents = 0;
  let stored = 0;
  for (const input of inputs) {
    let seen = 0;
    let done = 0;
    for await (const piece of source.pieces([input])) {
      texts.push(piece.text);
      seen += piece.bytes;
      done = piece.done;
      if (piece.last) documents++;
      if (seen >= LOOK_BYTES) break;
    }
    bytes += seen;
    stored += done * source.inputs[input].bytes;
  }
  if (bytes === 0) throw new LonghandError("data", `data: ${source.path} contains no text`);
  return { texts, bytes, documents, ratio: bytes / stored };
}

async function measure({ texts, bytes }: Look, { tokenizer: path, vocab, seed, threads }: PrepareSettings) {
  const began = performance.now();
  const tokenizer: TextTokenizer =
    path === undefined
      ? await trainTokenizer({ source: textInMemory("sample", texts), vocabSize: vocab, seed })
      : await loadTokenizer(path);
  const trained = performance.now();
  let tokens = 0;
  const landings: { bytes: number; time: number }[] = [];
  const pieces = textInMemory("sample", texts).pieces();
  for await (const { ids, bytes } of encodedBatches({
    pieces,
    tokenizer,
    threads: threads ?? defaultEncoders(),
  })) {
    tokens += ids.length;
    landings.push({ bytes, time: performance.now() });
  }
  // The threads are still starting during the first batches; a short text has no others.
  const [first] = landings.length >= 2 * MOST_FIRST ? landings.slice(MOST_FIRST - 1) : [{ bytes: 0, time: trained }];
  const rest = landings.filter(({ time }) => time > first.time);
  const counted = rest.reduce((sum, { bytes }) => sum + bytes, 0);
  return {
    vocabSize: tokenizer.vocabSize,
    tokensPerByte: tokens / bytes,
    bytesPerSecond: counted / (((rest.at(-1)?.time ?? Number.NaN) - first.time) / 1000),
    trainingSeconds: path === undefined ? (trained - began) / 1000 : 0,
  };
}

/** Text and documents of a whole source, or of its part within the limit. */
function amount(source: TextSource, { bytes, documents, ratio }: Look, limit: string | undefined) {
  const text = source.totalBytes * ratio;
  const perDocument = documents === 0 ? text / source.inputs.length : bytes / documents; // long files are one each
  const most = limit === undefined ? undefined : parseLimit(limit);
  const taken = most === undefined ? text : Math.min(text, "bytes" in most ? most.bytes : most.documents * perDocument);
  return { textBytes: Math.round(taken), documents: Math.max(1, Math.round(taken / perDocument)) };
}
