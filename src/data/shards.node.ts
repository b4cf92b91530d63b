/** Reads token shards (format: shard-format.node.ts): everything is checked when they are opened, then read by position. */
import { closeSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { LonghandError, messageOf } from "../base/errors.ts";
import { damaged, openShard, readFully, readStarts, type Shard, verifyPayload } from "./shard-check.node.ts";
import {
  decodeIndex,
  HEADER_BYTES,
  INDEX_FILE,
  littleEndian,
  type ShardIndex,
  type ShardOrigin,
  sha256,
  TOKENIZER_FILE,
} from "./shard-format.node.ts";
import { requireRange, type TokenSequence } from "./token-sequence.ts";

export type { ShardIndex, ShardOrigin } from "./shard-format.node.ts";
export {
  canResumeShards,
  type ShardProgress,
  type ShardRequest,
  type ShardsBefore,
  writeShards,
} from "./shard-writer.node.ts";

export interface TokenShards extends TokenSequence {
  readonly documents: number;
  /** Bytes of UTF-8, code points and white-space-separated words of the text that was tokenized. */
  readonly bytes: number;
  readonly characters: number;
  readonly words: number;
  readonly vocabSize: number;
  readonly tokenizerDigest: string;
  /** SHA-256 of all tokens and document beginnings, by way of the checksums of the shards; 64 hexadecimal digits. */
  readonly digest: string;
  /** Where the text came from, when that was noted. */
  readonly origin: ShardOrigin | undefined;
  /** The tokenizer.json beside the shards. */
  readonly tokenizerPath: string;
  /** The first token of each document, ascending; documents end with the end-of-text token. */
  readonly documentStarts: Float64Array;
  /** Closes the files; reading afterwards is an io error. */
  close(): void;
}

export interface OpenShardsOptions {
  /** Refuse shards made with another tokenizer: the `digest` of the one expected. */
  readonly tokenizerDigest?: string;
  /** Whether to read every byte once and compare checksums; default true. Sizes and headers are always checked. */
  readonly verify?: boolean;
  /** Shards are kept in memory whole, first come, up to this many bytes in all; default 256 MiB. */
  readonly cacheBytes?: number;
}

const CACHE_BYTES = 256 * 1024 * 1024;

type Tokens = Uint16Array | Uint32Array;

/**
 * Opens a folder of token shards. Throws "data", naming the file, when the folder is none or unfinished, when a file is
 * missing, cut off, changed or of another version, or when the tokenizer is another; "io" when reading fails.
 */
export async function openShards(dir: string, options: OpenShardsOptions = {}): Promise<TokenShards> {
  const index = readIndex(dir);
  const tokenizerPath = join(dir, TOKENIZER_FILE);
  if (sha256(readWhole(tokenizerPath)).toString("hex") !== index.tokenizerDigest) {
    throw damaged(tokenizerPath, "it is not the tokenizer that made the shards");
  }
  if (options.tokenizerDigest !== undefined && options.tokenizerDigest !== index.tokenizerDigest) {
    throw new LonghandError(
      "data",
      `shards: ${dir} was made with another tokenizer (${index.tokenizerDigest.slice(0, 12)}, not ${options.tokenizerDigest.slice(0, 12)}); prepare the text again with this one`,
    );
  }
  const shards: Shard[] = [];
  const starts: number[] = [];
  try {
    let firstToken = 0;
    for (const number of index.shards.keys()) {
      const shard = openShard(dir, index, number, firstToken);
      shards.push(shard);
      if (options.verify ?? true) await verifyPayload(shard);
      readStarts(shard, starts);
      firstToken += shard.header.tokens;
    }
    if (firstToken !== index.tokens || starts.length !== index.documents) {
      throw damaged(join(dir, INDEX_FILE), "its totals are not those of its shards");
    }
  } catch (error) {
    for (const shard of shards) closeSync(shard.file);
    throw error;
  }
  return new DiskShards(index, shards, Float64Array.from(starts), tokenizerPath, options.cacheBytes ?? CACHE_BYTES);
}

function readWhole(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") throw damaged(path, "the file is missing");
    throw new LonghandError("io", `shards: cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
}

function readIndex(dir: string): ShardIndex {
  const path = join(dir, INDEX_FILE);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (!["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) {
      throw new LonghandError("io", `shards: cannot read ${path}: ${messageOf(error)}`, { cause: error });
    }
    throw new LonghandError(
      "data",
      `shards: ${dir} is no folder of prepared text, or its preparation was interrupted: it has no ${INDEX_FILE}; prepare the text again`,
      { cause: error },
    );
  }
  return decodeIndex(text, path);
}

class DiskShards implements TokenShards {
  readonly tokens: number;
  readonly documents: number;
  readonly bytes: number;
  readonly characters: number;
  readonly words: number;
  readonly vocabSize: number;
  readonly tokenizerDigest: string;
  readonly digest: string;
  readonly origin: ShardOrigin | undefined;
  readonly tokenizerPath: string;
  readonly documentStarts: Float64Array;
  readonly #shards: readonly Shard[];
  /**
   * Whole shards by number, kept until closed. Windows are read in random order, so that putting one out for another
   * would help none: what does not fit is read from the file window by window.
   */
  readonly #cache = new Map<number, Tokens>();
  #freeBytes: number;
  #closed = false;

  constructor(
    index: ShardIndex,
    shards: readonly Shard[],
    documentStarts: Float64Array,
    tokenizerPath: string,
    cacheBytes: number,
  ) {
    this.tokens = index.tokens;
    this.documents = index.documents;
    this.bytes = index.bytes;
    this.characters = index.characters;
    this.words = index.words;
    this.vocabSize = index.vocabSize;
    this.tokenizerDigest = index.tokenizerDigest;
    this.digest = sha256(shards.map(({ header }) => header.checksum).join()).toString("hex");
    this.origin = index.origin;
    this.tokenizerPath = tokenizerPath;
    this.documentStarts = documentStarts;
    this.#shards = shards;
    this.#freeBytes = cacheBytes;
  }

  read(offset: number, length: number, out: Int32Array): void {
    requireRange(this, offset, length, out);
    if (this.#closed) throw new LonghandError("io", `shards: ${this.tokenizerPath}: the shards beside it were closed`);
    let done = 0;
    for (let number = this.#shardOf(offset); done < length; number++) {
      const { header } = this.#shards[number];
      const from = offset + done - header.firstToken;
      const count = Math.min(length - done, header.tokens - from);
      out.set(this.#tokensOf(number, from, count), done);
      done += count;
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const shard of this.#shards) closeSync(shard.file);
    this.#cache.clear();
  }

  /** The number of the shard that holds a token, by bisection. */
  #shardOf(token: number): number {
    let low = 0;
    let high = this.#shards.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.#shards[middle].header.firstToken <= token) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #tokensOf(number: number, from: number, count: number): Tokens {
    const { header } = this.#shards[number];
    let whole = this.#cache.get(number);
    if (whole === undefined) {
      const size = header.tokens * header.width;
      if (size > this.#freeBytes) return this.#load(number, from, count);
      whole = this.#load(number, 0, header.tokens);
      this.#cache.set(number, whole);
      this.#freeBytes -= size;
    }
    return whole.subarray(from, from + count);
  }

  #load(number: number, from: number, count: number): Tokens {
    const { file, path, header } = this.#shards[number];
    const tokens = header.width === 2 ? new Uint16Array(count) : new Uint32Array(count);
    readFully(file, path, Buffer.from(tokens.buffer), HEADER_BYTES + header.width * from);
    littleEndian(tokens);
    for (const token of tokens) {
      if (token >= header.vocabSize)
        throw damaged(path, `it holds token ${token} of a vocabulary of ${header.vocabSize}`);
    }
    return tokens;
  }
}
