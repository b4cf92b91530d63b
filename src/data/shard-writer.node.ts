/**
 * Text -> token shards on disk, streamed: one batch of pieces is encoded by the native threads while the one before is
 * written. Every file is written to a temporary name, flushed and renamed, index.json last; what an interrupted
 * preparation left behind is removed by the next.
 */
import { createHash, type Hash } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { LonghandError, messageOf } from "../base/errors.ts";
import {
  encodeHeader,
  encodeIndex,
  HEADER_BYTES,
  INDEX_FILE,
  isShardFile,
  littleEndian,
  type ShardHeader,
  type ShardIndex,
  type ShardOrigin,
  shardFile,
  TOKENIZER_FILE,
  tokenWidth,
} from "./shard-format.node.ts";
import { TextCounter } from "./text-count.ts";
import type { TextPiece, TextSource } from "./text-source.ts";
import type { TextTokenizer } from "./tokenizer.ts";

export interface ShardProgress {
  /** Bytes of text and tokens written. */
  readonly bytes: number;
  readonly tokens: number;
  /** Share of the source: 0 … 1. */
  readonly done: number;
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
  /** Called after every batch of about 640 kB of text. */
  readonly onProgress?: (progress: ShardProgress) => void;
}

/** A batch ends at this many bytes of text, or pieces where documents are short. */
const BATCH_BYTES = 640_000;
const BATCH_PIECES = 1024;
const BATCHES_IN_FLIGHT = 2;
const TOKENS_PER_SHARD = 2 ** 24;
const WRITE_TOKENS = 2 ** 18;

/**
 * Writes the tokens of every document, each followed by the end-of-text token, and returns the totals. Throws "usage"
 * when the folder already holds finished shards, "data" when the text cannot be used, "io" when writing fails; what was
 * written is then no finished folder, and calling again starts from the beginning.
 */
export async function writeShards(request: ShardRequest): Promise<ShardIndex> {
  const { source, tokenizer, out } = request;
  const maxTokens = request.maxTokensPerShard ?? TOKENS_PER_SHARD;
  if (!Number.isInteger(maxTokens) || maxTokens < 1 || maxTokens > 2 ** 28) {
    throw new LonghandError("usage", `maxTokensPerShard: expected a whole number from 1 to 2^28, got ${maxTokens}`);
  }
  await writing(out, () => clearFolder(out, tokenizer));
  const shards = new ShardWriter(out, tokenizer, maxTokens);
  const counter = new TextCounter();
  let bytes = 0;
  try {
    for await (const { pieces, ids } of encodedBatches(source, tokenizer)) {
      for (const [i, piece] of pieces.entries()) {
        bytes += piece.bytes;
        counter.add(piece.text);
        await writing(out, () => shards.append(ids[i]));
        if (!piece.last) continue;
        counter.endDocument();
        await writing(out, () => shards.endDocument());
      }
      request.onProgress?.({ bytes, tokens: shards.tokens, done: pieces[pieces.length - 1].done });
    }
    if (bytes === 0) throw new LonghandError("data", `data: ${source.path} contains no text`);
    return await writing(out, async () => {
      const index: ShardIndex = {
        tokenizerDigest: tokenizer.digest,
        vocabSize: tokenizer.vocabSize,
        tokens: shards.tokens,
        documents: shards.documents,
        bytes,
        characters: counter.characters,
        words: counter.words,
        ...(request.origin === undefined ? {} : { origin: request.origin }),
        shards: await shards.finish(),
      };
      await writeDurably(join(out, TOKENIZER_FILE), tokenizer.json);
      await writeDurably(join(out, INDEX_FILE), encodeIndex(index));
      return index;
    });
  } finally {
    await shards.close();
  }
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

/** Removes what an interrupted preparation left; refuses a finished one, and a tokenizer that would be overwritten. */
async function clearFolder(out: string, tokenizer: TextTokenizer): Promise<void> {
  await mkdir(out, { recursive: true });
  const names = await readdir(out);
  if (names.includes(INDEX_FILE)) {
    throw new LonghandError(
      "usage",
      `out: ${out} already holds prepared text (${INDEX_FILE}); choose another folder or remove it`,
    );
  }
  const path = join(out, TOKENIZER_FILE);
  const interrupted = names.some((name) => name.startsWith("shard-") && isShardFile(name));
  if (names.includes(TOKENIZER_FILE) && !interrupted && (await readFile(path, "utf8")) !== tokenizer.json) {
    throw new LonghandError("usage", `out: ${path} is another tokenizer; choose another folder or remove it`);
  }
  for (const name of names) if (isShardFile(name) && name !== TOKENIZER_FILE) await rm(join(out, name));
}

/** Pieces with their token ids, in order, encoded ahead of the consumer. */
async function* encodedBatches(
  source: TextSource,
  tokenizer: TextTokenizer,
): AsyncGenerator<{ pieces: TextPiece[]; ids: Int32Array[] }> {
  const flying: { pieces: TextPiece[]; ids: Promise<Int32Array[]> }[] = [];
  const launch = (pieces: TextPiece[]) => {
    const ids = tokenizer.encodeBatch(pieces.map((piece) => piece.text));
    ids.catch(() => undefined); // reported where it is awaited
    flying.push({ pieces, ids });
  };
  let pieces: TextPiece[] = [];
  let bytes = 0;
  for await (const piece of source.pieces()) {
    pieces.push(piece);
    bytes += piece.bytes;
    if (bytes < BATCH_BYTES && pieces.length < BATCH_PIECES) continue;
    launch(pieces);
    pieces = [];
    bytes = 0;
    while (flying.length >= BATCHES_IN_FLIGHT) yield await landed(flying);
  }
  if (pieces.length > 0) launch(pieces);
  while (flying.length > 0) yield await landed(flying);
}

async function landed<P>(
  flying: { pieces: P; ids: Promise<Int32Array[]> }[],
): Promise<{ pieces: P; ids: Int32Array[] }> {
  const { pieces, ids } = flying[0];
  flying.shift();
  return { pieces, ids: await ids };
}

interface OpenShard {
  readonly file: FileHandle;
  readonly path: string;
  readonly hash: Hash;
  readonly firstToken: number;
  readonly documentStarts: number[];
}

class ShardWriter {
  tokens = 0;
  documents = 0;
  readonly #out: string;
  readonly #tokenizer: TextTokenizer;
  readonly #maxTokens: number;
  readonly #finished: { tokens: number; documents: number; checksum: string }[] = [];
  readonly #buffer: Uint16Array | Uint32Array;
  #buffered = 0;
  #atDocumentStart = true;
  #open: OpenShard | undefined;

  constructor(out: string, tokenizer: TextTokenizer, maxTokens: number) {
    this.#out = out;
    this.#tokenizer = tokenizer;
    this.#maxTokens = maxTokens;
    const size = Math.min(WRITE_TOKENS, maxTokens);
    this.#buffer = tokenWidth(tokenizer.vocabSize) === 2 ? new Uint16Array(size) : new Uint32Array(size);
  }

  async append(ids: Int32Array): Promise<void> {
    for (let done = 0; done < ids.length; ) {
      this.#open ??= await this.#begin();
      if (this.#atDocumentStart) {
        this.#open.documentStarts.push(this.tokens);
        this.#atDocumentStart = false;
        this.documents++;
      }
      const room = this.#maxTokens - (this.tokens - this.#open.firstToken);
      const count = Math.min(ids.length - done, this.#buffer.length - this.#buffered, room);
      this.#buffer.set(ids.subarray(done, done + count), this.#buffered);
      this.#buffered += count;
      this.tokens += count;
      done += count;
      if (this.#buffered === this.#buffer.length) await this.#flush(this.#open);
      if (count === room) await this.#end(this.#open);
    }
  }

  async endDocument(): Promise<void> {
    await this.append(Int32Array.of(this.#tokenizer.special.endOfText));
    this.#atDocumentStart = true;
  }

  async finish(): Promise<ShardIndex["shards"]> {
    if (this.#open) await this.#end(this.#open);
    return this.#finished;
  }

  async close(): Promise<void> {
    await this.#open?.file.close().catch(() => undefined);
    this.#open = undefined;
  }

  async #begin(): Promise<OpenShard> {
    const path = join(this.#out, shardFile(this.#finished.length));
    const file = await open(`${path}.tmp`, "w");
    await file.write(Buffer.alloc(HEADER_BYTES));
    return { file, path, hash: createHash("sha256"), firstToken: this.tokens, documentStarts: [] };
  }

  async #flush(shard: OpenShard): Promise<void> {
    const bytes = littleEndian(this.#buffer.subarray(0, this.#buffered));
    shard.hash.update(bytes);
    await shard.file.writeFile(bytes);
    this.#buffered = 0;
  }

  async #end(shard: OpenShard): Promise<void> {
    await this.#flush(shard);
    const starts = littleEndian(BigUint64Array.from(shard.documentStarts, BigInt));
    shard.hash.update(starts);
    await shard.file.writeFile(starts);
    const header: ShardHeader = {
      width: tokenWidth(this.#tokenizer.vocabSize),
      tokens: this.tokens - shard.firstToken,
      documents: shard.documentStarts.length,
      firstToken: shard.firstToken,
      vocabSize: this.#tokenizer.vocabSize,
      number: this.#finished.length,
      checksum: shard.hash.digest("hex"),
      tokenizerDigest: this.#tokenizer.digest,
    };
    await shard.file.write(encodeHeader(header), 0, HEADER_BYTES, 0);
    await shard.file.sync();
    this.#open = undefined;
    await shard.file.close();
    await rename(`${shard.path}.tmp`, shard.path);
    this.#finished.push({ tokens: header.tokens, documents: header.documents, checksum: header.checksum });
  }
}

async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(`${path}.tmp`, "w");
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.tmp`, path);
}
