/** A folder of token shards before its first token and after its last: what is cleared, kept, refused and completed. */
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { LonghandError } from "../base/errors.ts";
import {
  encodeIndex,
  INDEX_FILE,
  isShardFile,
  JOURNAL_FILE,
  type ShardIndex,
  shardFile,
  TOKENIZER_FILE,
} from "./shard-format.node.ts";
import {
  canGoOn,
  type JournalRequest,
  readJournal,
  type ShardJournal,
  writeDurably,
  writeJournal,
} from "./shard-journal.node.ts";
import type { SourceInput } from "./text-source.ts";
import type { TextTokenizer } from "./tokenizer.ts";

/** The journal to go on from; undefined when there is nothing to keep. Throws "usage" for that of other text. */
export function resumable(out: string, request: JournalRequest): ShardJournal | undefined {
  const journal = readJournal(out);
  return journal !== undefined && canGoOn(journal, request, out) ? journal : undefined;
}

/**
 * Makes the folder ready and returns the journal to go on from, or `start`. Refuses a finished folder, and a tokenizer that
 * would be overwritten; removes what the journal does not know.
 */
export async function beginFolder(
  out: string,
  start: ShardJournal,
  inputs: readonly SourceInput[],
  tokenizer: TextTokenizer,
): Promise<ShardJournal> {
  await mkdir(out, { recursive: true });
  const names = await readdir(out);
  if (names.includes(INDEX_FILE)) {
    throw new LonghandError(
      "usage",
      `out: ${out} already holds prepared text (${INDEX_FILE}); choose another folder or remove it`,
    );
  }
  const { tokenizerDigest, maxTokensPerShard } = start;
  const origin = start.origin as JournalRequest["origin"];
  const before = resumable(out, { tokenizerDigest, maxTokensPerShard, origin, inputs });
  const path = join(out, TOKENIZER_FILE);
  const begun = names.some((name) => name !== TOKENIZER_FILE && isShardFile(name));
  if (names.includes(TOKENIZER_FILE) && !begun && (await readFile(path, "utf8")) !== tokenizer.json) {
    throw new LonghandError("usage", `out: ${path} is another tokenizer; choose another folder or remove it`);
  }
  const kept = new Set([TOKENIZER_FILE, ...(before === undefined ? [] : [JOURNAL_FILE, ...shardsOf(before)])]);
  for (const name of names) if (isShardFile(name) && !kept.has(name)) await rm(join(out, name));
  // In this order: a folder with a journal is one that a preparation may clear.
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

/** Writes the index, after which the journal says nothing any more. */
export async function finishFolder(out: string, index: ShardIndex): Promise<void> {
  await writeDurably(join(out, INDEX_FILE), encodeIndex(index));
  await rm(join(out, JOURNAL_FILE), { force: true });
}
