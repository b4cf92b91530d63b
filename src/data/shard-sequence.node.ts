/** The shards of a folder as one growing sequence of tokens: a file is begun, filled and finished after the other. */
import { statSync } from "node:fs";
import { join } from "node:path";
import { damaged } from "./shard-check.node.ts";
import { OpenShard } from "./shard-file.node.ts";
import { shardFile, shardFileBytes, tokenWidth } from "./shard-format.node.ts";
import type { ShardJournal } from "./shard-journal.node.ts";

type Part = ShardJournal["shards"][number];

export class ShardSequence {
  tokens: number;
  documents: number;
  readonly #dir: string;
  readonly #made: Pick<ShardJournal, "tokenizerDigest" | "vocabSize" | "maxTokensPerShard">;
  readonly #finished: Part[];
  #open: OpenShard | undefined;
  #atDocumentStart = true;

  private constructor(dir: string, journal: ShardJournal) {
    this.#dir = dir;
    this.#made = journal;
    this.#finished = [...journal.shards];
    this.tokens = journal.tokens;
    this.documents = journal.documents;
  }

  /** Begins where a journal says. Throws "data" when what it names is not there. */
  static async open(dir: string, journal: ShardJournal, endOfText: number): Promise<ShardSequence> {
    const shards = new ShardSequence(dir, journal);
    for (const [number, part] of journal.shards.entries()) requireSize(dir, journal, number, part);
    if (journal.open !== null) shards.#open = await OpenShard.reopen(shards.#next(), journal.open, endOfText);
    return shards;
  }

  /** Appends tokens whose documents end at `ends`, places in `ids`. */
  async append(ids: Uint16Array | Uint32Array, ends: Uint32Array): Promise<void> {
    const starts = this.#atDocumentStart ? [0, ...ends] : [...ends];
    if (starts.at(-1) === ids.length) starts.pop();
    let next = 0;
    for (let done = 0; done < ids.length; ) {
      this.#open ??= await OpenShard.create(this.#next());
      const room = this.#made.maxTokensPerShard - this.#open.tokens;
      const count = Math.min(ids.length - done, room);
      for (; next < starts.length && starts[next] < done + count; next++) {
        this.#open.beginDocument(this.#open.tokens + starts[next] - done);
      }
      await this.#open.append(ids.subarray(done, done + count));
      done += count;
      if (count === room) await this.#finish();
    }
    this.tokens += ids.length;
    this.documents += starts.length;
    this.#atDocumentStart = ends.at(-1) === ids.length;
  }

  /** Flushes everything to the disk, and says what there is. */
  async flush(): Promise<Pick<ShardJournal, "shards" | "open">> {
    const open = this.#open === undefined ? null : await this.#open.flush();
    return { shards: [...this.#finished], open };
  }

  /** Completes the last file. */
  async finish(): Promise<readonly Part[]> {
    if (this.#open !== undefined) await this.#finish();
    return this.#finished;
  }

  async close(): Promise<void> {
    await this.#open?.close();
    this.#open = undefined;
  }

  async #finish(): Promise<void> {
    this.#finished.push(await (this.#open as OpenShard).finish());
    this.#open = undefined;
  }

  #next() {
    const firstToken = this.#finished.reduce((sum, { tokens }) => sum + tokens, 0);
    const { vocabSize, tokenizerDigest } = this.#made;
    return { dir: this.#dir, number: this.#finished.length, firstToken, vocabSize, tokenizerDigest };
  }
}

/** Every byte of a finished shard is verified when the folder is opened; here, whether it is there. */
function requireSize(dir: string, { vocabSize }: ShardJournal, number: number, part: Part): void {
  const path = join(dir, shardFile(number));
  const expected = shardFileBytes({ ...part, width: tokenWidth(vocabSize) });
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size === undefined) throw damaged(path, "the file is missing");
  if (size !== expected) throw damaged(path, `it has ${size} bytes, and progress.json says ${expected}`);
}
