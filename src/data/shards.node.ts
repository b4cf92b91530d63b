/** Reads token shards (format: shard-format.ts): all is checked when they are opened, then read by position. */

import { createHash } from "node:crypto";
import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { LonghandError } from "../base/errors.ts";
import { readError, readFully, sha256 } from "../base/files.node.ts";
import { littleEndian } from "./little-endian.node.ts";
import {
  damaged,
  decodeHeader,
  decodeIndex,
  digestOfShards,
  HEADER_BYTES,
  INDEX_FILE,
  type ShardHeader,
  type ShardIndex,
  type ShardOrigin,
  shardFile,
  shardFileBytes,
  TOKENIZER_FILE,
  tokenWidth,
} from "./shard-format.ts";
import { requireRange, type TokenSequence } from "./token-sequence.ts";

export type { ShardIndex, ShardOrigin } from "./shard-format.ts";
export {
  canResumeShards,
  type ShardProgress,
  type ShardRequest,
  type ShardsBefore,
  writeShards,
} from "./shard-writer.node.ts";

export interface TokenShards extends TokenSequence, Omit<ShardIndex, "shards" | "origin"> {
  /** SHA-256 of all tokens and document starts, by way of the checksums of the shards; 64 hexadecimal digits. */
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
const VERIFY_BYTES = 1024 * 1024;

type Tokens = Uint16Array | Uint32Array;

interface Shard {
  readonly path: string;
  readonly file: number;
  readonly header: ShardHeader;
}

/**
 * Opens a folder of token shards. Throws "data", naming the file, when the folder is none or unfinished, when a file is
 * missing, cut off, changed or of another version, or when the tokenizer is another; "io" when reading fails.
 */
export async function openShards(dir: string, options: OpenShardsOptions = {}): Promise<TokenShards> {
  const index = decodeIndex(readWhole(join(dir, INDEX_FILE), noIndex(dir)).toString(), join(dir, INDEX_FILE));
  const tokenizerPath = join(dir, TOKENIZER_FILE);
  if (sha256(readWhole(tokenizerPath)) !== index.tokenizerDigest) {
    throw damaged(tokenizerPath, "it is not the tokenizer that made the shards");
  }
  const wanted = options.tokenizerDigest ?? index.tokenizerDigest;
  if (wanted !== index.tokenizerDigest) {
    const digests = `${index.tokenizerDigest.slice(0, 12)}, not ${wanted.slice(0, 12)}`;
    throw new LonghandError(
      "data",
      `shards: ${dir} was made with another tokenizer (${digests}); prepare the text again with this one`,
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
  const { shards: _, ...totals } = index;
  return {
    ...{ ...totals, origin: index.origin, tokenizerPath, documentStarts: Float64Array.from(starts) },
    digest: digestOfShards(index.shards),
    ...shardReader(shards, index.tokens, options.cacheBytes ?? CACHE_BYTES),
  };
}

const isMissing = (path: string) => () => damaged(path, "the file is missing");

const noIndex = (dir: string) => () =>
  new LonghandError(
    "data",
    `shards: ${dir} is not a folder of prepared text, or its preparation was interrupted: it has no ${INDEX_FILE}; prepare the text again`,
  );

function readWhole(path: string, missing = isMissing(path)): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw readError(error, path, missing);
  }
}

/** Opens one file and compares its header and size with the index; throws "data" or "io". */
function openShard(dir: string, index: ShardIndex, number: number, firstToken: number): Shard {
  const path = join(dir, shardFile(number));
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (error) {
    throw readError(error, path, isMissing(path));
  }
  try {
    const size = fstatSync(file).size;
    const bytes = Buffer.alloc(Math.min(size, HEADER_BYTES));
    readAt(file, path, bytes, 0);
    const header = decodeHeader(bytes, path);
    const { vocabSize, tokenizerDigest } = index;
    const expected: ShardHeader = {
      ...{ width: tokenWidth(vocabSize), number, firstToken, vocabSize, tokenizerDigest },
      ...index.shards[number],
    };
    const names = Object.keys(header) as (keyof ShardHeader)[];
    if (names.some((name) => header[name] !== expected[name])) {
      throw damaged(path, `its header does not agree with ${INDEX_FILE}`);
    }
    if (size !== shardFileBytes(header)) {
      throw damaged(path, `it has ${size} bytes, and its header says ${shardFileBytes(header)}`);
    }
    return { path, file, header };
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

/** Reads everything after the header once, in pieces, and compares its checksum. */
async function verifyPayload({ path, header }: Shard): Promise<void> {
  const hash = createHash("sha256");
  const buffer = Buffer.alloc(VERIFY_BYTES);
  try {
    const file = await open(path, "r");
    try {
      for (let position = HEADER_BYTES, read = buffer.length; read === buffer.length; position += read) {
        read = await readFully(file, buffer, position);
        hash.update(buffer.subarray(0, read));
      }
    } finally {
      await file.close();
    }
  } catch (error) {
    throw readError(error, path, isMissing(path));
  }
  if (hash.digest("hex") !== header.checksum) throw damaged(path, "its contents do not match its checksum");
}

/** Appends the document starts of a shard to `starts`; they must ascend and lie inside it. */
function readStarts({ file, path, header }: Shard, starts: number[]): void {
  const array = new BigUint64Array(header.documents);
  readAt(file, path, Buffer.from(array.buffer), HEADER_BYTES + header.width * header.tokens);
  littleEndian(array);
  for (const start of array) {
    const at = Number(start);
    const previous = starts.at(-1) ?? -1;
    if (at <= previous || at < header.firstToken || at >= header.firstToken + header.tokens) {
      throw damaged(path, `a document is said to begin at token ${at}`);
    }
    starts.push(at);
  }
}

/** Fills the buffer from a position of the file, without waiting for other work: batches are read that way. */
function readAt(file: number, path: string, buffer: Buffer, position: number): void {
  for (let filled = 0; filled < buffer.length; ) {
    let count: number;
    try {
      count = readSync(file, buffer, filled, buffer.length - filled, position + filled);
    } catch (error) {
      throw readError(error, path, isMissing(path));
    }
    if (count === 0) throw damaged(path, `it ends at byte ${position + filled}`);
    filled += count;
  }
}

/**
 * Reads tokens from open shards. Those that fit into `freeBytes`, first come, are kept whole in memory until closed.
 * Windows are read in random order, so that exchanging one shard for another would not help: of the others each window
 * is read from the file.
 */
function shardReader(shards: readonly Shard[], tokens: number, freeBytes: number): TokenSequence & { close(): void } {
  const cache = new Map<number, Tokens>();
  let free = freeBytes;
  let closed = false;

  /** The number of the shard that holds a token, by bisection. */
  const shardOf = (token: number): number => {
    let low = 0;
    let high = shards.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (shards[middle].header.firstToken <= token) low = middle;
      else high = middle - 1;
    }
    return low;
  };

  const tokensOf = (number: number, from: number, count: number): Tokens => {
    let whole = cache.get(number);
    if (whole === undefined) {
      const { header } = shards[number];
      const size = header.tokens * header.width;
      if (size > free) return loadTokens(shards[number], from, count);
      whole = loadTokens(shards[number], 0, header.tokens);
      cache.set(number, whole);
      free -= size;
    }
    return whole.subarray(from, from + count);
  };

  return {
    tokens,
    read(offset, length, out) {
      requireRange(this, offset, length, out);
      if (closed) throw new LonghandError("io", "shards: they were closed and cannot be read any more");
      let done = 0;
      for (let number = shardOf(offset); done < length; number++) {
        const { header } = shards[number];
        const from = offset + done - header.firstToken;
        const count = Math.min(length - done, header.tokens - from);
        out.set(tokensOf(number, from, count), done);
        done += count;
      }
    },
    close() {
      if (closed) return;
      closed = true;
      for (const { file } of shards) closeSync(file);
      cache.clear();
    },
  };
}

function loadTokens({ file, path, header }: Shard, from: number, count: number): Tokens {
  const tokens = header.width === 2 ? new Uint16Array(count) : new Uint32Array(count);
  readAt(file, path, Buffer.from(tokens.buffer), HEADER_BYTES + header.width * from);
  littleEndian(tokens);
  for (const token of tokens) {
    if (token >= header.vocabSize)
      throw damaged(path, `it holds token ${token} of a vocabulary of ${header.vocabSize}`);
  }
  return tokens;
}
