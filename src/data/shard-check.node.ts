/** Opens and checks single files of token shards (format: shard-format.node.ts). */
import { createHash } from "node:crypto";
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { LonghandError, messageOf } from "../base/errors.ts";
import {
  decodeHeader,
  HEADER_BYTES,
  INDEX_FILE,
  littleEndian,
  type ShardHeader,
  type ShardIndex,
  shardFile,
  shardFileBytes,
  tokenWidth,
} from "./shard-format.node.ts";

export interface Shard {
  readonly path: string;
  readonly file: number;
  readonly header: ShardHeader;
}

const VERIFY_BYTES = 1024 * 1024;

export function damaged(path: string, problem: string): LonghandError {
  return new LonghandError("data", `shards: ${path} is damaged: ${problem}; prepare the text again`);
}

/** Opens one file and checks its header and size against the index; throws "data" or "io". */
export function openShard(dir: string, index: ShardIndex, number: number, firstToken: number): Shard {
  const path = join(dir, shardFile(number));
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") throw damaged(path, "the file is missing");
    throw new LonghandError("io", `shards: cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
  try {
    const size = fstatSync(file).size;
    const bytes = Buffer.alloc(Math.min(size, HEADER_BYTES));
    readFully(file, path, bytes, 0);
    const header = decodeHeader(bytes, path);
    const expected = index.shards[number];
    const fits =
      header.number === number &&
      header.firstToken === firstToken &&
      header.tokens === expected.tokens &&
      header.documents === expected.documents &&
      header.checksum === expected.checksum &&
      header.vocabSize === index.vocabSize &&
      header.width === tokenWidth(index.vocabSize) &&
      header.tokenizerDigest === index.tokenizerDigest;
    if (!fits) throw damaged(path, `its header does not agree with ${INDEX_FILE}`);
    if (size !== shardFileBytes(header)) {
      throw damaged(path, `it has ${size} bytes, and its header says ${shardFileBytes(header)}`);
    }
    return { path, file, header };
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

/** Reads the whole file once, in pieces, and compares its checksum. */
export async function verifyPayload({ path, header }: Shard): Promise<void> {
  const hash = createHash("sha256");
  const array = header.width === 2 ? new Uint16Array(VERIFY_BYTES / 2) : new Uint32Array(VERIFY_BYTES / 4);
  const buffer = Buffer.from(array.buffer);
  let file: FileHandle | undefined;
  try {
    file = await open(path, "r");
    for (let position = HEADER_BYTES; ; ) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, position);
      if (bytesRead === 0) break;
      hash.update(buffer.subarray(0, bytesRead));
      position += bytesRead;
    }
  } catch (error) {
    throw new LonghandError("io", `shards: cannot read ${path}: ${messageOf(error)}`, { cause: error });
  } finally {
    await file?.close();
  }
  if (hash.digest("hex") !== header.checksum) throw damaged(path, "its contents do not match its checksum");
}

/** Appends the document starts of a shard to `starts`, checked to ascend and to lie inside it. */
export function readStarts({ file, path, header }: Shard, starts: number[]): void {
  const array = new BigUint64Array(header.documents);
  readFully(file, path, Buffer.from(array.buffer), HEADER_BYTES + header.width * header.tokens);
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

/** Fills the buffer from a position of the file. */
export function readFully(file: number, path: string, buffer: Buffer, position: number): void {
  for (let filled = 0; filled < buffer.length; ) {
    let count: number;
    try {
      count = readSync(file, buffer, filled, buffer.length - filled, position + filled);
    } catch (error) {
      throw new LonghandError("io", `shards: cannot read ${path}: ${messageOf(error)}`, { cause: error });
    }
    if (count === 0) throw damaged(path, `it ends at byte ${position + filled}`);
    filled += count;
  }
}
