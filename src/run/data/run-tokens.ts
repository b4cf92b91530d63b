/**
 * Opens the token shards of a run, and divides each corpus into what is trained on and what is held out: its validation
 * split, or else its end. Where `evalPath` names a text, that one is held out instead.
 */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { LonghandError } from "../../base/errors.ts";
import { corporaIn } from "../../config/corpora.ts";
import type { RunConfig } from "../../config/run-config.ts";
import type { DataSpec } from "../../data/data-spec.ts";
import { isShardFile, JOURNAL_FILE } from "../../data/shard-format.ts";
import { openShards, type TokenShards } from "../../data/shards.node.ts";
import type { Split } from "../../data/sources/splits.ts";
import type { TokenSequence } from "../../data/token-sequence.ts";
import { loadTokenizer, type TextTokenizer } from "../../data/tokenizer.node.ts";
import { evalShare, evaluated, requireLength, splitEnd } from "../../training/corpora.ts";

export interface RunData {
  readonly tokenizer: TextTokenizer;
  /** What is trained on, of each corpus. */
  readonly train: readonly TokenSequence[];
  /** Checksum of each corpus's shards. */
  readonly digests: readonly string[];
  /** Bytes of text that a token of each corpus stands for. */
  readonly bytesPerToken: readonly number[];
  /** What is evaluated: of each corpus, or of the text at `evalPath`; together at most `evalTokens`. */
  readonly heldOut: readonly TokenSequence[];
  close(): void;
}

/** Throws "checkpoint" for another tokenizer than that of the run's configuration. */
export async function loadRunTokenizer(run: string, { data }: Pick<RunConfig, "data">): Promise<TextTokenizer> {
  const file = join(run, "tokenizer.json");
  const tokenizer = await loadTokenizer(file);
  if (tokenizer.digest === data.tokenizerDigest) return tokenizer;
  throw new LonghandError("checkpoint", `${file}: it is not the tokenizer that the run was trained with`);
}

/** Bytes of shards cached in memory, over all corpora. */
const CACHE_BYTES = 256 * 1024 * 1024;

/**
 * Opens and verifies what prepareRunData has written into `folder`, the `data` of the run, and the shards that the run reads
 * where they are. Throws "data" for a corpus shorter than one example or with nothing to evaluate on, and as openShards.
 */
export async function openRunTokens(
  folder: string,
  config: Pick<RunConfig, "data" | "training">,
  tokenizer: TextTokenizer,
): Promise<RunData> {
  const { evalPath, evalFraction, evalTokens } = config.data;
  const corpora = corporaIn(config);
  const opened: TokenShards[] = [];
  const close = () => {
    for (const shards of opened) shards.close();
  };
  const open = async (path: string, share: number) => {
    const cacheBytes = Math.floor(CACHE_BYTES * share);
    opened.push(await openShards(path, { tokenizerDigest: tokenizer.digest, cacheBytes }));
    return opened[opened.length - 1];
  };
  try {
    const train: TokenSequence[] = [];
    const digests: string[] = [];
    const bytesPerToken: number[] = [];
    const heldOut: TokenSequence[] = [];
    for (const [i, { path, share }] of corpora.entries()) {
      const parts = preparedParts(path) ?? madeFor(join(folder, partFolder(corpora, i)));
      const all = await open(parts.train as string, share);
      requireLength(all.tokens, config.training, path);
      digests.push(all.digest);
      bytesPerToken.push(all.bytes / all.tokens);
      if (evalPath !== undefined) train.push(all);
      else if (parts.validation !== undefined) {
        train.push(all);
        const own = await open(parts.validation, share);
        heldOut.push(evaluated(own, evalShare(evalTokens, share), path));
      } else {
        const split = splitEnd(all, evalFraction, path);
        requireLength(split.train.tokens, config.training, path);
        train.push(split.train);
        heldOut.push(evaluated(split.heldOut, evalShare(evalTokens, share), path));
      }
    }
    if (evalPath !== undefined) {
      const parts = preparedParts(evalPath);
      const own = await open(parts?.validation ?? parts?.train ?? join(folder, "heldout"), 1);
      heldOut.push(evaluated(own, evalTokens, evalPath));
    }
    return { tokenizer, train, digests, bytesPerToken, heldOut, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** Folders of the shards that a run has made from a text. */
function madeFor(folder: string): { readonly train: string; readonly validation?: string } {
  const validation = join(folder, "heldout");
  return { train: join(folder, "train"), ...(existsSync(validation) ? { validation } : {}) };
}

/**
 * The folders of token shards at a path, finished or not: one, or one for each split. In the data of a run, `heldout` is the
 * validation split. Undefined when there are no shards.
 */
export function preparedParts(path: DataSpec): Partial<Record<Split, string>> | undefined {
  if (typeof path !== "string") return path.length === 1 ? preparedParts(path[0]) : undefined;
  if (existsSync(join(path, "index.json")) || existsSync(join(path, JOURNAL_FILE))) return { train: path };
  const [train, heldOut, validation] = ["train", "heldout", "validation"].map((name) => join(path, name));
  if (!holdsShards(train)) return undefined;
  if (existsSync(join(path, "tokenizer.json"))) return { train, validation };
  return existsSync(heldOut) ? { train, validation: heldOut } : { train };
}

/** Whether the shard writer has written in this folder. */
function holdsShards(folder: string): boolean {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) return false;
  const names = readdirSync(folder);
  return names.some((name) => name === JOURNAL_FILE || (name.startsWith("shard-") && isShardFile(name)));
}

/** The folder of a corpus's tokens below the `data` of a run: `data` itself for a single corpus, else part-0, part-1, … */
export function partFolder(corpora: readonly unknown[], index: number): string {
  return corpora.length === 1 ? "" : `part-${index}`;
}
