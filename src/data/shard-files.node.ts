/**
 * The shards of a folder while they are written (format: shard-format.ts): one file after the other,
 * `shard-NNNNN.bin.tmp` until it is complete. An interrupted one is continued at the end of a document up to which its
 * tokens are known to be there.
 */
import { createHash, type Hash } from "node:crypto";
import { existsSync, statSync } from "node:fs";
import { type FileHandle, open, rename } from "node:fs/promises";
import { join } from "node:path";
import { readFully, systemCode, writeFully } from "../base/files.node.ts";
import { littleEndian } from "./little-endian.node.ts";
import {
  damaged,
  encodeHeader,
  HEADER_BYTES,
  type ShardHeader,
  type ShardPart,
  shardFile,
  shardFileBytes,
  tokenWidth,
} from "./shard-format.ts";
import type { ShardJournal } from "./shard-journal.node.ts";

type Tokens = Uint16Array | Uint32Array;

/** All shards of a folder, as one sequence of tokens that grows at its end. */
export class ShardFiles {
  tokens: number;
  documents: number;
  readonly #dir: string;
  readonly #made: Pick<ShardJournal, "tokenizerDigest" | "vocabSize" | "maxTokensPerShard">;
  readonly #finished: ShardPart[];
  #open: OpenShard | undefined;
  #atDocumentStart = true;

  private constructor(dir: string, journal: ShardJournal) {
    this.#dir = dir;
    this.#made = journal;
    this.#finished = [...journal.shards];
    this.tokens = journal.tokens;
    this.documents = journal.documents;
  }

  /**
   * Begins where a journal says. Throws "data" when what it names is not there. Of finished shards only the size is
   * compared: all their bytes are verified when the folder is opened for reading.
   */
  static async open(dir: string, journal: ShardJournal, endOfText: number): Promise<ShardFiles> {
    const files = new ShardFiles(dir, journal);
    for (const [number, part] of journal.shards.entries()) {
      const path = join(dir, shardFile(number));
      const expected = shardFileBytes({ ...part, width: tokenWidth(journal.vocabSize) });
      const size = statSync(path, { throwIfNoEntry: false })?.size;
      if (size === undefined) throw damaged(path, "the file is missing");
      if (size !== expected) throw damaged(path, `it has ${size} bytes, and progress.json says ${expected}`);
    }
    if (journal.open !== null) {
      files.#open = await OpenShard.reopen(files.#nextPath(), files.#nextHeader(), journal.open, endOfText);
    }
    return files;
  }

  /** Appends tokens whose documents end at `ends`, places in `ids`. */
  async append(ids: Tokens, ends: Uint32Array): Promise<void> {
    const starts = this.#atDocumentStart ? [0, ...ends] : [...ends];
    if (starts.at(-1) === ids.length) starts.pop();
    let next = 0;
    for (let done = 0; done < ids.length; ) {
      this.#open ??= await OpenShard.create(this.#nextPath(), this.#nextHeader());
      const room = this.#made.maxTokensPerShard - this.#open.tokens;
      const count = Math.min(ids.length - done, room);
      for (; next < starts.length && starts[next] < done + count; next++) {
        this.#open.starts.push(this.#open.tokens + starts[next] - done);
      }
      await this.#open.append(ids.subarray(done, done + count));
      done += count;
      if (count === room) await this.#finishOpen(this.#open);
    }
    this.tokens += ids.length;
    this.documents += starts.length;
    this.#atDocumentStart = ends.at(-1) === ids.length;
  }

  /** Flushes everything to the disk and says what is there. */
  async flush(): Promise<Pick<ShardJournal, "shards" | "open">> {
    const open = this.#open === undefined ? null : await this.#open.flush();
    return { shards: [...this.#finished], open };
  }

  /** Completes the last file. */
  async finish(): Promise<readonly ShardPart[]> {
    if (this.#open !== undefined) await this.#finishOpen(this.#open);
    return this.#finished;
  }

  /** Closes the open file as it is; does nothing the second time. */
  async close(): Promise<void> {
    await this.#open?.close();
    this.#open = undefined;
  }

  async #finishOpen(shard: OpenShard): Promise<void> {
    this.#finished.push(await shard.finish());
    this.#open = undefined;
  }

  #nextPath(): string {
    return join(this.#dir, shardFile(this.#finished.length));
  }

  #nextHeader(): UnfinishedHeader {
    const { vocabSize, tokenizerDigest } = this.#made;
    const firstToken = this.#finished.reduce((sum, { tokens }) => sum + tokens, 0);
    return { width: tokenWidth(vocabSize), number: this.#finished.length, firstToken, vocabSize, tokenizerDigest };
  }
}

/** What is known of a shard before its last token. */
type UnfinishedHeader = Omit<ShardHeader, keyof ShardPart>;

const READ_BYTES = 1024 * 1024;
const STARTS_AT_ONCE = 8192;

class OpenShard {
  tokens = 0;
  /** Where documents begin in it, ascending. */
  readonly starts = new Offsets();
  readonly #path: string;
  readonly #header: UnfinishedHeader;
  readonly #file: FileHandle;
  readonly #hash: Hash = createHash("sha256");

  private constructor(path: string, header: UnfinishedHeader, file: FileHandle) {
    this.#path = path;
    this.#header = header;
    this.#file = file;
  }

  static async create(path: string, header: UnfinishedHeader): Promise<OpenShard> {
    const shard = new OpenShard(path, header, await open(`${path}.tmp`, "w"));
    return shard.#closedOnError(() => writeFully(shard.#file, Buffer.alloc(HEADER_BYTES), 0));
  }

  /**
   * Opens what an interrupted preparation left, cuts off what was written after the part, and reads the part once: for
   * its checksum, and for the beginnings of its documents, each of which follows an end-of-text token. Throws "data"
   * when it is not there as it was.
   */
  static async reopen(path: string, header: UnfinishedHeader, part: ShardPart, endOfText: number): Promise<OpenShard> {
    if (!existsSync(`${path}.tmp`) && existsSync(path)) await rename(path, `${path}.tmp`); // it had just been finished
    const file = await open(`${path}.tmp`, "r+").catch((error) => {
      throw systemCode(error) === "ENOENT" ? damaged(path, "the file is missing") : error;
    });
    const shard = new OpenShard(path, header, file);
    return shard.#closedOnError(async () => {
      await shard.#recover(part, endOfText);
      await file.truncate(shard.#end());
    });
  }

  /** Appends tokens of the shard's width, whose bytes may be swapped in place. */
  async append(tokens: Tokens): Promise<void> {
    const bytes = littleEndian(tokens);
    this.#hash.update(bytes);
    await writeFully(this.#file, bytes, this.#end());
    this.tokens += tokens.length;
  }

  /** Flushes what was appended to the disk. */
  async flush(): Promise<ShardPart> {
    await this.#file.sync();
    return { tokens: this.tokens, documents: this.starts.length, checksum: this.#hash.copy().digest("hex") };
  }

  /** Completes the file and gives it its final name. */
  async finish(): Promise<ShardPart> {
    let position = this.#end();
    for (let from = 0; from < this.starts.length; from += STARTS_AT_ONCE) {
      const some = this.starts.slice(from, from + STARTS_AT_ONCE);
      const bytes = littleEndian(BigUint64Array.from(some, (start) => BigInt(this.#header.firstToken + start)));
      this.#hash.update(bytes);
      await writeFully(this.#file, bytes, position);
      position += bytes.length;
    }
    const part = { tokens: this.tokens, documents: this.starts.length, checksum: this.#hash.digest("hex") };
    await writeFully(this.#file, encodeHeader({ ...this.#header, ...part }), 0);
    await this.#file.sync();
    await this.#file.close();
    await rename(`${this.#path}.tmp`, this.#path);
    return part;
  }

  async close(): Promise<void> {
    await this.#file.close().catch(() => undefined);
  }

  /** Where the tokens end in the file. */
  #end(): number {
    return HEADER_BYTES + this.#header.width * this.tokens;
  }

  async #closedOnError(work: () => Promise<void>): Promise<this> {
    try {
      await work();
      return this;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async #recover({ tokens, documents, checksum }: ShardPart, endOfText: number): Promise<void> {
    const { width } = this.#header;
    const array = width === 2 ? new Uint16Array(READ_BYTES / 2) : new Uint32Array(READ_BYTES / 4);
    const ends = new Offsets();
    while (this.tokens < tokens) {
      const part = array.subarray(0, Math.min(array.length, tokens - this.tokens));
      const bytes = Buffer.from(part.buffer, 0, part.byteLength);
      const read = await readFully(this.#file, bytes, this.#end());
      if (read < bytes.length) throw damaged(this.#path, `it ends at byte ${this.#end() + read}`);
      this.#hash.update(bytes);
      littleEndian(part);
      for (const [i, token] of part.entries()) if (token === endOfText) ends.push(this.tokens + i + 1);
      this.tokens += part.length;
    }
    // A document begins after each end but the last; whether one begins with the first token follows from their number.
    const beginsWithDocument = documents === ends.length;
    const fits = beginsWithDocument || documents === ends.length - 1;
    if (!fits || this.#hash.copy().digest("hex") !== checksum) {
      throw damaged(this.#path, "its contents are not what progress.json says");
    }
    if (beginsWithDocument) this.starts.push(0);
    for (const end of ends.slice(0, Math.max(0, ends.length - 1))) this.starts.push(end);
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
