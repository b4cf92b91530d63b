/**
 * One file of token shards (format: shard-format.node.ts) while it is written: `shard-NNNNN.bin.tmp`, flushed and renamed
 * when it is complete. One that was interrupted is gone on with at a document's end, whose tokens are known to be there.
 */
import { createHash, type Hash } from "node:crypto";
import { existsSync } from "node:fs";
import { type FileHandle, open, rename } from "node:fs/promises";
import { join } from "node:path";
import { damaged } from "./shard-check.node.ts";
import { encodeHeader, HEADER_BYTES, littleEndian, shardFile, tokenWidth } from "./shard-format.node.ts";

type Tokens = Uint16Array | Uint32Array;

export interface ShardPlace {
  readonly dir: string;
  /** Number of the shard, and tokens in those before it. */
  readonly number: number;
  readonly firstToken: number;
  readonly vocabSize: number;
  readonly tokenizerDigest: string;
}

/** How much of a shard is on the disk: all of it once it is finished, else whole documents, or rests of them. */
export interface DurablePart {
  readonly tokens: number;
  /** Documents that begin in it. */
  readonly documents: number;
  /** SHA-256 of the tokens; of a finished shard of the beginnings of its documents after them, as in its header. */
  readonly checksum: string;
}

const READ_BYTES = 1024 * 1024;
const STARTS_AT_ONCE = 8192;

export class OpenShard {
  tokens = 0;
  readonly #place: ShardPlace;
  readonly #width: 2 | 4;
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #hash: Hash = createHash("sha256");
  readonly #starts = new Offsets();

  private constructor(place: ShardPlace, path: string, file: FileHandle) {
    this.#place = place;
    this.#width = tokenWidth(place.vocabSize);
    this.#path = path;
    this.#file = file;
  }

  static async create(place: ShardPlace): Promise<OpenShard> {
    const path = join(place.dir, shardFile(place.number));
    const shard = new OpenShard(place, path, await open(`${path}.tmp`, "w"));
    await shard.#write(Buffer.alloc(HEADER_BYTES), 0).catch(async (error) => {
      await shard.close();
      throw error;
    });
    return shard;
  }

  /**
   * Opens what an interrupted preparation left, drops what was written after the part, and reads that once: for its
   * checksum and the beginnings of its documents, each of which follows an end-of-text token. Throws "data" when it is not
   * there as it was.
   */
  static async reopen(place: ShardPlace, part: DurablePart, endOfText: number): Promise<OpenShard> {
    const path = join(place.dir, shardFile(place.number));
    if (!existsSync(`${path}.tmp`) && existsSync(path)) await rename(path, `${path}.tmp`); // it had just been finished
    const file = await open(`${path}.tmp`, "r+").catch((error) => {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") throw damaged(path, "the file is missing");
      throw error;
    });
    const shard = new OpenShard(place, path, file);
    try {
      await shard.#recover(part, endOfText);
      await file.truncate(HEADER_BYTES + shard.#width * shard.tokens);
      return shard;
    } catch (error) {
      await shard.close();
      throw error;
    }
  }

  /** A document begins at this token of the shard, counted from 0; ascending. */
  beginDocument(token: number): void {
    this.#starts.push(token);
  }

  /** Appends tokens of the shard's width, whose bytes may be swapped in place. */
  async append(tokens: Tokens): Promise<void> {
    const bytes = littleEndian(tokens);
    this.#hash.update(bytes);
    await this.#write(bytes, HEADER_BYTES + this.#width * this.tokens);
    this.tokens += tokens.length;
  }

  /** Flushes what was appended to the disk. */
  async flush(): Promise<DurablePart> {
    await this.#file.sync();
    return { tokens: this.tokens, documents: this.#starts.length, checksum: this.#hash.copy().digest("hex") };
  }

  /** Completes the file; it then has its final name. */
  async finish(): Promise<DurablePart> {
    const { number, firstToken, vocabSize, tokenizerDigest } = this.#place;
    let position = HEADER_BYTES + this.#width * this.tokens;
    for (let from = 0; from < this.#starts.length; from += STARTS_AT_ONCE) {
      const some = this.#starts.slice(from, from + STARTS_AT_ONCE);
      const bytes = littleEndian(BigUint64Array.from(some, (start) => BigInt(firstToken + start)));
      this.#hash.update(bytes);
      await this.#write(bytes, position);
      position += bytes.length;
    }
    const counts = { tokens: this.tokens, documents: this.#starts.length, checksum: this.#hash.digest("hex") };
    const header = { width: this.#width, ...counts, firstToken, vocabSize, number, tokenizerDigest };
    await this.#write(encodeHeader(header), 0);
    await this.#file.sync();
    await this.#file.close();
    await rename(`${this.#path}.tmp`, this.#path);
    return counts;
  }

  /** Closes the file as it is; does nothing the second time. */
  async close(): Promise<void> {
    await this.#file.close().catch(() => undefined);
  }

  async #recover({ tokens, documents, checksum }: DurablePart, endOfText: number): Promise<void> {
    const array = this.#width === 2 ? new Uint16Array(READ_BYTES / 2) : new Uint32Array(READ_BYTES / 4);
    const ends: Offsets = new Offsets();
    while (this.tokens < tokens) {
      const part = array.subarray(0, Math.min(array.length, tokens - this.tokens));
      const buffer = Buffer.from(part.buffer, 0, part.byteLength);
      for (let filled = 0; filled < buffer.length; ) {
        const position = HEADER_BYTES + this.#width * this.tokens + filled;
        const { bytesRead } = await this.#file.read(buffer, filled, buffer.length - filled, position);
        if (bytesRead === 0) throw damaged(this.#path, `it ends at byte ${position}`);
        filled += bytesRead;
      }
      this.#hash.update(buffer);
      littleEndian(part);
      for (const [i, token] of part.entries()) if (token === endOfText) ends.push(this.tokens + i + 1);
      this.tokens += part.length;
    }
    // All but the last end are beginnings; whether the first token is one is told by their number.
    const whole = documents === ends.length;
    if (this.#hash.copy().digest("hex") !== checksum || (!whole && documents !== ends.length - 1)) {
      throw damaged(this.#path, "its contents are not what progress.json says");
    }
    if (whole) this.#starts.push(0);
    for (const end of ends.slice(0, ends.length - 1)) this.#starts.push(end);
  }

  async #write(bytes: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#file.write(bytes, done, bytes.length - done, position + done);
      done += bytesWritten;
    }
  }
}

/** A growing list of places in a shard: 4 bytes each. */
class Offsets {
  length = 0;
  #values = new Uint32Array(1024);

  push(value: number): void {
    if (this.length === this.#values.length) {
      const values = new Uint32Array(2 * this.length);
      values.set(this.#values);
      this.#values = values;
    }
    this.#values[this.length++] = value;
  }

  slice(from: number, to: number): Uint32Array {
    return this.#values.subarray(from, Math.min(to, this.length));
  }
}
