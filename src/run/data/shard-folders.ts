/** Where the token shards of data lie: those that were there before, and those that a run makes for itself. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { DataSpec } from "../../data/data-spec.ts";
import { isShardFile, JOURNAL_FILE } from "../../data/shard-format.node.ts";
import type { Split } from "../../data/sources/splits.ts";

/**
 * Folders of token shards that a path holds: one, or one for each split (of the data of a run, the held-out text is its
 * validation), finished or not; undefined when it is something else.
 */
export function preparedParts(path: DataSpec): Partial<Record<Split, string>> | undefined {
  if (typeof path !== "string") return path.length === 1 ? preparedParts(path[0]) : undefined;
  if (existsSync(join(path, "index.json")) || existsSync(join(path, JOURNAL_FILE))) return { train: path };
  const [train, heldOut, validation] = ["train", "heldout", "validation"].map((name) => join(path, name));
  if (!holdsShards(train)) return undefined;
  if (existsSync(join(path, "tokenizer.json"))) return { train, validation };
  return existsSync(heldOut) ? { train, validation: heldOut } : { train };
}

/** Whether a folder was written, or begun, by the shard writer. */
function holdsShards(folder: string): boolean {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) return false;
  const names = readdirSync(folder);
  return names.some((name) => name === JOURNAL_FILE || (name.startsWith("shard-") && isShardFile(name)));
}

/** Where the tokens of a corpus are written, below the run's `data`: those of the only one in it, of several in part-0, … */
export function partFolder(corpora: readonly unknown[], index: number): string {
  return corpora.length === 1 ? "" : `part-${index}`;
}
