/**
 * How far an unfinished preparation has come: `progress.json` beside its shards, replaced as a whole at ends of
 * documents, after the tokens up to there are on the disk. Whatever moment the process ends, the one there is now is
 * true, and what was written after it is written again.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { rename } from "node:fs/promises";
import { basename, join } from "node:path";
import { z } from "zod";
import { decodeCheckedJson, encodeCheckedJson, type Refuse } from "../base/checked-json.ts";
import { LonghandError } from "../base/errors.ts";
import { readError, sha256, writeFlushed } from "../base/files.node.ts";
import { JOURNAL_FILE, type ShardOrigin } from "./shard-format.ts";
import type { SourceInput } from "./text-source.ts";

const JOURNAL = {
  format: "longhand-progress",
  what: "the journal of a preparation",
  version: 1,
  checksum: { field: "checksum", digest: sha256 },
};

const count = z.number().int().min(0);
const digest = z.string().regex(/^[0-9a-f]{64}$/);
const part = z.strictObject({ tokens: count, documents: count, checksum: digest });

const journalSchema = z.strictObject({
  tokenizerDigest: digest,
  vocabSize: count,
  maxTokensPerShard: count,
  origin: z.record(z.string(), z.unknown()).optional(),
  /** Of the inputs that were read whole: see InputsDigest. */
  inputs: digest,
  /** The one whose first documents are done; null when the next document is the first of its input. */
  current: z.strictObject({ path: z.string(), bytes: count }).nullable(),
  /** The next document. */
  position: z.strictObject({ input: count, document: count }),
  /** Of the documents before it. */
  tokens: count,
  documents: count,
  bytes: count,
  characters: count,
  words: count,
  shards: z.array(part),
  /** How much of the shard after these is on the disk; null when nothing of it is needed. */
  open: part.nullable(),
});

export type ShardJournal = z.infer<typeof journalSchema>;

/** Replaces the journal of a folder. Throws the system's errors as they are. */
export async function writeJournal(dir: string, journal: ShardJournal): Promise<void> {
  await writeDurably(join(dir, JOURNAL_FILE), encodeCheckedJson(JOURNAL, journal));
}

/** The journal of a folder; undefined when there is none. Throws "data" when it cannot be used. */
export function readJournal(dir: string): ShardJournal | undefined {
  const path = join(dir, JOURNAL_FILE);
  if (!existsSync(path)) return undefined;
  const refuse: Refuse = (problem, cause) => {
    const advice = `remove ${dir} to prepare the text from the beginning`;
    throw new LonghandError("data", `shards: ${path}: ${problem}; ${advice}`, { cause });
  };
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw readError(error, path, () => new LonghandError("io", `shards: ${path} was removed just now; try again`));
  }
  const parsed = journalSchema.safeParse(decodeCheckedJson(text, JOURNAL, refuse));
  return parsed.success ? parsed.data : refuse("a field is missing or is not a count");
}

/** What a preparation is about to do, compared with what one began. */
export interface JournalRequest {
  /** Absent when that of the journal will be used. */
  readonly tokenizerDigest?: string | undefined;
  readonly maxTokensPerShard: number;
  readonly origin?: ShardOrigin | undefined;
  readonly inputs: readonly SourceInput[];
}

/**
 * Whether the journal names documents that the same preparation need not do again. Throws "usage" when they are those
 * of another one: with them in the folder nothing else is begun there.
 */
export function canContinue(journal: ShardJournal, request: JournalRequest, dir: string): boolean {
  if (journal.documents === 0) return false;
  const differs = difference(journal, request);
  if (differs === undefined) return true;
  throw new LonghandError(
    "usage",
    `out: ${dir} holds the first ${journal.documents} documents of an interrupted preparation, and ${differs}; choose another folder, or remove this one to begin again`,
  );
}

function difference(journal: ShardJournal, request: JournalRequest): string | undefined {
  const { position, current, maxTokensPerShard } = journal;
  if (JSON.stringify(journal.origin) !== JSON.stringify(request.origin)) return "it was of other text or options";
  if (request.tokenizerDigest !== undefined && journal.tokenizerDigest !== request.tokenizerDigest) {
    return "its tokenizer was another";
  }
  if (maxTokensPerShard !== request.maxTokensPerShard) {
    return `its shards are of ${maxTokensPerShard} tokens, not ${request.maxTokensPerShard}`;
  }
  const now = request.inputs[position.input];
  const there = current === null || (now !== undefined && basename(now.path) === basename(current.path));
  if (current !== null && there && now.bytes !== current.bytes) {
    return `${current.path} has changed since: ${current.bytes} bytes then, ${now.bytes} now`;
  }
  const same = new InputsDigest(request.inputs).before(position.input) === journal.inputs;
  return same && there ? undefined : "files of its text have changed since";
}

/**
 * SHA-256 over name and size of the inputs before a number, one by one as the number grows. Their folder is that of the
 * origin; how it was spelt does not count.
 */
export class InputsDigest {
  readonly #inputs: readonly SourceInput[];
  readonly #hash = createHash("sha256");
  #done = 0;

  constructor(inputs: readonly SourceInput[]) {
    this.#inputs = inputs;
  }

  before(input: number): string {
    for (; this.#done < Math.min(input, this.#inputs.length); this.#done++) {
      const { path, bytes } = this.#inputs[this.#done];
      this.#hash.update(`${JSON.stringify([basename(path), bytes])}\n`);
    }
    return this.#hash.copy().digest("hex");
  }
}

/** Writes a file under another name, flushes it, and renames it: afterwards it is there whole, or as it was before. */
export async function writeDurably(path: string, text: string): Promise<void> {
  await writeFlushed(`${path}.tmp`, [text], "w");
  await rename(`${path}.tmp`, path);
}
