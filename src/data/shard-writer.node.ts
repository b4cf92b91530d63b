/**
 * Text -> token shards on disk, streamed: worker threads encode, this one reads and writes. Every file is written to a
 * temporary name, flushed and renamed, index.json last; what an interrupted preparation had done is gone on with.
 */
import { availableParallelism } from "node:os";
import { LonghandError, messageOf } from "../base/errors.ts";
import { encodedBatches } from "./encoded-batches.node.ts";
import { beginFolder, finishFolder, resumable } from "./shard-folder.node.ts";
import type { ShardIndex, ShardOrigin } from "./shard-format.node.ts";
import { InputsDigest, type ShardJournal, writeJournal } from "./shard-journal.node.ts";
import { ShardSequence } from "./shard-sequence.node.ts";
import { piecesFrom, type TextPiece, type TextSource } from "./text-source.ts";
import type { TextTokenizer } from "./tokenizer.ts";

export interface ShardProgress {
  /** Bytes of text and tokens written, in earlier attempts too. */
  readonly bytes: number;
  readonly tokens: number;
  /** Share of the source: 0 … 1. */
  readonly done: number;
}

/** What an earlier attempt has done. */
export interface ShardsBefore {
  readonly documents: number;
  readonly tokens: number;
  readonly bytes: number;
}

export interface ShardRequest {
  readonly source: TextSource;
  readonly tokenizer: TextTokenizer;
  /** Kept in index.json. */
  readonly origin?: ShardOrigin;
  /** The folder to fill; made when missing. */
  readonly out: string;
  /** Default 2^24: files of 32 MiB. */
  readonly maxTokensPerShard?: number;
  /** Worker threads that encode; default: as many as processors. */
  readonly threads?: number;
  /** Least time between two writes of the journal, in milliseconds; default 3000. Infinity where nobody will go on. */
  readonly journalEveryMs?: number;
  /** Ends the work with its reason, after a last write of the journal. */
  readonly signal?: AbortSignal | undefined;
  /** Told once when documents of an earlier attempt are kept. */
  readonly onResume?: (before: ShardsBefore) => void;
  /** Called after every batch of about 256 kB of text. */
  readonly onProgress?: (progress: ShardProgress) => void;
}

const TOKENS_PER_SHARD = 2 ** 24;
const JOURNAL_MS = 3000;

/**
 * Writes the tokens of every document, each followed by the end-of-text token, and returns the totals. Throws "usage" when
 * the folder already holds finished shards or a part of others, "data" when the text or that part cannot be used, "io" when
 * writing fails. Whatever ends it, calling again with the same request goes on after the last document in the journal; the
 * folder is then byte for byte what it would have been, whatever the number of threads.
 */
export async function writeShards(request: ShardRequest): Promise<ShardIndex> {
  const { source, tokenizer, out, origin, signal } = request;
  const maxTokensPerShard = shardTokens(request.maxTokensPerShard);
  const threads = request.threads ?? availableParallelism();
  if (!Number.isInteger(threads) || threads < 1) {
    throw new LonghandError("usage", `threads: expected a whole number of at least 1, got ${threads}`);
  }
  const every = request.journalEveryMs ?? JOURNAL_MS;
  const digest = new InputsDigest(source.inputs);
  const start: ShardJournal = {
    tokenizerDigest: tokenizer.digest,
    vocabSize: tokenizer.vocabSize,
    maxTokensPerShard,
    ...(origin === undefined ? {} : { origin: { ...origin } }),
    ...{ inputs: digest.before(0), current: null, position: { input: 0, document: 0 } },
    ...{ tokens: 0, documents: 0, bytes: 0, characters: 0, words: 0, shards: [], open: null },
  };
  const before = await writing(out, () => beginFolder(out, start, source.inputs, tokenizer));
  if (before.documents > 0) request.onResume?.(before);
  const shards = await writing(out, () => ShardSequence.open(out, before, tokenizer.special.endOfText));
  let { bytes, characters, words } = before;
  let last: TextPiece | undefined;
  let written = Number.NEGATIVE_INFINITY; // the first end of a document is kept at once
  let inWord = false;

  const keep = async () => {
    if (last?.last !== true || every === Number.POSITIVE_INFINITY) return; // nobody will go on, or not at a document's end
    const { input, document } = last;
    await writeJournal(out, {
      ...start,
      ...{ inputs: digest.before(input), position: { input, document: document + 1 } },
      current: { path: source.inputs[input].path, bytes: source.inputs[input].bytes },
      ...{ tokens: shards.tokens, documents: shards.documents, bytes, characters, words },
      ...(await shards.flush()),
    });
    written = performance.now();
  };

  try {
    signal?.throwIfAborted();
    const pieces = piecesFrom(source, { ...before.position, bytes, documents: before.documents });
    for await (const batch of encodedBatches({ pieces, tokenizer, threads })) {
      last = undefined; // what fails from here on leaves the shards ahead of the counts
      await writing(out, () => shards.append(batch.ids, batch.ends));
      bytes += batch.bytes;
      characters += batch.characters;
      words += batch.words - Number(inWord && batch.beginsInWord); // counted already, in the batch before
      inWord = batch.endsInWord;
      last = batch.last;
      request.onProgress?.({ bytes, tokens: shards.tokens, done: last.done });
      if (performance.now() - written >= every) await writing(out, keep);
      signal?.throwIfAborted();
    }
    if (bytes === 0) throw new LonghandError("data", `data: ${source.path} contains no text`);
    last = undefined;
    return await writing(out, async () => {
      const { vocabSize, tokenizerDigest } = start;
      const counts = { tokens: shards.tokens, documents: shards.documents, bytes, characters, words };
      const index = { tokenizerDigest, vocabSize, ...counts, ...(origin && { origin }), shards: await shards.finish() };
      await finishFolder(out, index);
      return index;
    });
  } catch (error) {
    await keep().catch(() => undefined); // the error is what is to be told; the journal before stays true
    throw error;
  } finally {
    await shards.close();
  }
}

/** Whether writeShards would go on in this folder with what is there; throws what it would throw. */
export function canResumeShards({ out, source, origin, maxTokensPerShard }: Omit<ShardRequest, "tokenizer">): boolean {
  const request = { origin, inputs: source.inputs, maxTokensPerShard: shardTokens(maxTokensPerShard) };
  return resumable(out, request) !== undefined;
}

function shardTokens(tokens = TOKENS_PER_SHARD): number {
  if (Number.isInteger(tokens) && tokens >= 1 && tokens <= 2 ** 28) return tokens;
  throw new LonghandError("usage", `maxTokensPerShard: expected a whole number from 1 to 2^28, got ${tokens}`);
}

async function writing<T>(out: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof LonghandError) throw error;
    const full = (error as NodeJS.ErrnoException).code === "ENOSPC";
    const problem = full
      ? `the disk is full while writing ${out}; free some space and run the same command again`
      : `cannot write ${out}: ${messageOf(error)}`;
    throw new LonghandError("io", `shards: ${problem}`, { cause: error });
  }
}
