/**
 * Text -> token shards on disk, streamed: worker threads encode, this one reads and writes. Every file is written under
 * a temporary name, flushed and renamed, index.json last; an interrupted preparation is continued where its journal
 * says.
 */
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { LonghandError } from "../base/errors.ts";
import { writeError } from "../base/files.node.ts";
import { defaultEncoders } from "./encode-pool.node.ts";
import { encodedBatches } from "./encoded-batches.node.ts";
import { ShardFiles } from "./shard-files.node.ts";
import {
  encodeIndex,
  INDEX_FILE,
  isShardFile,
  JOURNAL_FILE,
  type ShardIndex,
  type ShardOrigin,
  shardFile,
  TOKENIZER_FILE,
} from "./shard-format.ts";
import {
  canContinue,
  InputsDigest,
  type JournalRequest,
  readJournal,
  type ShardJournal,
  writeDurably,
  writeJournal,
} from "./shard-journal.node.ts";
import { piecesFrom, type SourceInput, type TextPiece, type TextSource } from "./text-source.ts";
import type { TextTokenizer } from "./tokenizer.ts";

export interface ShardProgress {
  /** Bytes of text and tokens written, in earlier attempts too. */
  readonly bytes: number;
  readonly tokens: number;
  /** Share of the source: 0 … 1. */
  readonly done: number;
}

/** What an earlier attempt has done. */
export type ShardsBefore = Pick<ShardJournal, "documents" | "tokens" | "bytes">;

export interface ShardRequest {
  readonly source: TextSource;
  readonly tokenizer: TextTokenizer;
  /** Kept in index.json. */
  readonly origin?: ShardOrigin;
  /** The folder to fill; made when missing. */
  readonly out: string;
  /** Default 2^24: files of 32 MiB. */
  readonly maxTokensPerShard?: number;
  /** Worker threads that encode; default: as many as processors, at most 16. */
  readonly threads?: number;
  /** Least time between two writes of the journal, in milliseconds; default 3000. Infinity: no journal. */
  readonly journalEveryMs?: number;
  /** Ends the work with its reason, after a last write of the journal. */
  readonly signal?: AbortSignal | undefined;
  /** Called once when documents of an earlier attempt are kept. */
  readonly onResume?: (before: ShardsBefore) => void;
  /** Called after every batch of about 256 kB of text. */
  readonly onProgress?: (progress: ShardProgress) => void;
}

const TOKENS_PER_SHARD = 2 ** 24;
const JOURNAL_MS = 3000;

/**
 * Writes the tokens of every document, each followed by the end-of-text token, and returns the totals. Throws "usage"
 * when the folder holds finished shards or a part of others, "data" when the text or that part cannot be used, "io"
 * when writing fails. Whatever ends it, calling again with the same request continues after the last document in the
 * journal; the folder is then byte for byte what it would have been, whatever the number of threads.
 */
export async function writeShards(request: ShardRequest): Promise<ShardIndex> {
  const { source, tokenizer, out, origin, signal } = request;
  const maxTokensPerShard = shardTokens(request.maxTokensPerShard);
  const threads = request.threads ?? defaultEncoders();
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
  const shards = await writing(out, () => ShardFiles.open(out, before, tokenizer.special.endOfText));
  let { bytes, characters, words } = before;
  const totals = () => ({ tokens: shards.tokens, documents: shards.documents, bytes, characters, words });
  let last: TextPiece | undefined;
  let written = Number.NEGATIVE_INFINITY; // so that the first end of a document is noted at once
  let inWord = false;

  const note = async () => {
    if (last?.last !== true || every === Number.POSITIVE_INFINITY) return;
    const { input, document } = last;
    await writeJournal(out, {
      ...start,
      ...{ inputs: digest.before(input), position: { input, document: document + 1 } },
      current: { path: source.inputs[input].path, bytes: source.inputs[input].bytes },
      ...totals(),
      ...(await shards.flush()),
    });
    written = performance.now();
  };

  try {
    signal?.throwIfAborted();
    const pieces = piecesFrom(source, { ...before.position, bytes, documents: before.documents });
    for await (const batch of encodedBatches({ pieces, tokenizer, threads })) {
      last = undefined; // if something fails from here on, the shards may be ahead of the counts
      await writing(out, () => shards.append(batch.ids, batch.ends));
      bytes += batch.bytes;
      characters += batch.characters;
      words += batch.words - Number(inWord && batch.beginsInWord); // that word was counted in the batch before
      inWord = batch.endsInWord;
      last = batch.last;
      request.onProgress?.({ bytes, tokens: shards.tokens, done: last.done });
      if (performance.now() - written >= every) await writing(out, note);
      signal?.throwIfAborted();
    }
    if (bytes === 0) throw new LonghandError("data", `data: ${source.path} contains no text`);
    last = undefined;
    return await writing(out, async () => {
      const { tokenizerDigest, vocabSize } = start;
      const finished = { ...(origin && { origin }), shards: await shards.finish() };
      const index = { tokenizerDigest, vocabSize, ...totals(), ...finished };
      await writeDurably(join(out, INDEX_FILE), encodeIndex(index));
      await rm(join(out, JOURNAL_FILE), { force: true });
      return index;
    });
  } catch (error) {
    await note().catch(() => undefined); // the first error is the one to report; the journal before is still true
    throw error;
  } finally {
    await shards.close();
  }
}

/** Whether writeShards would continue in this folder with what is there; throws what it would throw. */
export function canResumeShards({ out, source, origin, maxTokensPerShard }: Omit<ShardRequest, "tokenizer">): boolean {
  const request = { origin, inputs: source.inputs, maxTokensPerShard: shardTokens(maxTokensPerShard) };
  return resumable(out, request) !== undefined;
}

/** The journal to continue from; undefined when there is nothing to keep. Throws "usage" for that of another text. */
function resumable(out: string, request: JournalRequest): ShardJournal | undefined {
  const journal = readJournal(out);
  return journal !== undefined && canContinue(journal, request, out) ? journal : undefined;
}

/**
 * Makes the folder ready and returns the journal to continue from, or `start`. Refuses a finished folder, and one whose
 * tokenizer would be overwritten; removes shards that the journal does not know.
 */
async function beginFolder(
  out: string,
  start: ShardJournal,
  inputs: readonly SourceInput[],
  tokenizer: TextTokenizer,
): Promise<ShardJournal> {
  const refuse = (problem: string): never => {
    throw new LonghandError("usage", `out: ${problem}; choose another folder or remove it`);
  };
  await mkdir(out, { recursive: true });
  const names = await readdir(out);
  if (names.includes(INDEX_FILE)) refuse(`${out} already holds prepared text (${INDEX_FILE})`);
  const { tokenizerDigest, maxTokensPerShard } = start;
  const origin = start.origin as ShardOrigin | undefined;
  const before = resumable(out, { tokenizerDigest, maxTokensPerShard, origin, inputs });
  const path = join(out, TOKENIZER_FILE);
  const begun = names.some((name) => name !== TOKENIZER_FILE && isShardFile(name));
  if (names.includes(TOKENIZER_FILE) && !begun && (await readFile(path, "utf8")) !== tokenizer.json) {
    refuse(`${path} is another tokenizer`);
  }
  const kept = new Set([TOKENIZER_FILE, ...(before === undefined ? [] : [JOURNAL_FILE, ...shardsOf(before)])]);
  for (const name of names) if (isShardFile(name) && !kept.has(name)) await rm(join(out, name));
  // The journal first: it marks the folder as one that a preparation may clear.
  if (before === undefined) await writeJournal(out, start);
  await writeDurably(path, tokenizer.json);
  return before ?? start;
}

/** The files of finished shards, and the open one by either of its names. */
function shardsOf({ shards, open }: ShardJournal): string[] {
  const finished = shards.map((_, number) => shardFile(number));
  const next = shardFile(shards.length);
  return open === null ? finished : [...finished, next, `${next}.tmp`];
}

function shardTokens(tokens = TOKENS_PER_SHARD): number {
  if (Number.isInteger(tokens) && tokens >= 1 && tokens <= 2 ** 28) return tokens;
  throw new LonghandError("usage", `maxTokensPerShard: expected a whole number from 1 to 2^28, got ${tokens}`);
}

async function writing<T>(out: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw writeError(error, out);
  }
}
