/** Turns a corpus into token shards: one folder, or one for each of the splits train and validation. */
import { existsSync } from "node:fs";
import { mkdir, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { LonghandError } from "../../base/errors.ts";
import { writeError } from "../../base/files.node.ts";
import { writeFileAtomic } from "../../checkpoint/atomic.node.ts";
import { acquireRunLock, type RunLock } from "../../checkpoint/run-lock.node.ts";
import { parseSettings } from "../../config/fields.ts";
import {
  type PrepareSettings,
  type PrepareSettingsInput,
  prepareSettingsSchema,
} from "../../config/prepare-settings.ts";
import { type DataSpec, nameOf } from "../../data/data-spec.ts";
import { JOURNAL_FILE } from "../../data/shard-format.ts";
import {
  canResumeShards,
  openShards,
  type ShardIndex,
  type ShardOrigin,
  type ShardProgress,
  type ShardRequest,
  type ShardsBefore,
  writeShards,
} from "../../data/shards.node.ts";
import { type Corpus, openCorpus } from "../../data/sources/corpus.ts";
import type { DownloadProgress } from "../../data/sources/hub/client.ts";
import type { Split } from "../../data/sources/splits.ts";
import type { TextSource } from "../../data/text-source.ts";
import { loadTokenizer, type TextTokenizer, trainTokenizer } from "../../data/tokenizer.node.ts";
import { preparedParts } from "./run-tokens.ts";

export type PrepareEvent =
  | ({ readonly type: "download" } & DownloadProgress)
  | { readonly type: "tokenizer"; readonly vocabSize: number; readonly digest: string }
  /** An earlier preparation was interrupted; this much of it is kept. */
  | ({ readonly type: "resumed"; readonly split: Split } & ShardsBefore)
  | ({ readonly type: "tokens"; readonly split: Split } & ShardProgress)
  | ({ readonly type: "split" } & PreparedSplit)
  | { readonly type: "warning"; readonly message: string };

export interface PreparedSplit {
  readonly split: Split;
  /** Folder of its token shards. */
  readonly out: string;
  readonly documents: number;
  readonly tokens: number;
  readonly bytes: number;
  readonly characters: number;
  readonly words: number;
}

export interface PrepareResult {
  readonly out: string;
  /** Where the text came from; an address on the hub with the commit. */
  readonly data: DataSpec;
  readonly vocabSize: number;
  readonly splits: readonly PreparedSplit[];
}

export interface PrepareOptions {
  readonly onEvent?: ((event: PrepareEvent) => void) | undefined;
  /** Stops the preparation, which throws its reason; the same call continues it later. */
  readonly signal?: AbortSignal | undefined;
  /** Tokens in a shard, and how often the journal is written; default: as writeShards has it. */
  readonly shards?: Pick<ShardRequest, "maxTokensPerShard" | "journalEveryMs"> | undefined;
}

/**
 * Writes `out`, or `out`/train and `out`/validation where the corpus has both. An interrupted preparation of the same text is
 * continued: its tokenizer, its finished splits and the documents in the journal of the next are kept. Throws "usage" when
 * `out` is finished, holds part of another text, or is being written by another process; "data" and "io" for text, disk and
 * network.
 */
export async function prepare(input: PrepareSettingsInput, options: PrepareOptions = {}): Promise<PrepareResult> {
  const settings = parseSettings(prepareSettingsSchema, input);
  const { onEvent = () => {}, signal } = options;
  if (preparedParts(settings.data) !== undefined) {
    throw new LonghandError("usage", `\`data\` ${nameOf(settings.data)}: it is prepared already: train on it as it is`);
  }
  refuseFinished(settings.out);
  const given = settings.tokenizer === undefined ? undefined : await loadTokenizer(settings.tokenizer);
  const corpus = await openCorpus(settings.data, {
    ...textOptions(settings),
    onWarning: (message) => onEvent({ type: "warning", message }),
    onDownload: (progress) => {
      signal?.throwIfAborted();
      onEvent({ type: "download", ...progress });
    },
  });
  let folder: Awaited<ReturnType<typeof takeFolder>> | undefined;
  try {
    const parts = partsOf(corpus, settings);
    folder = await takeFolder(settings.out);
    const tokenizer = given ?? (await tokenizerOf(parts, settings, options.shards));
    signal?.throwIfAborted();
    onEvent({ type: "tokenizer", vocabSize: tokenizer.vocabSize, digest: tokenizer.digest });
    if (parts.length > 1) {
      await writeFileAtomic(join(settings.out, "tokenizer.json"), [tokenizer.json]);
    }
    const splits: PreparedSplit[] = [];
    for (const { split, out, source, origin } of parts) {
      const onProgress = (progress: ShardProgress) => {
        signal?.throwIfAborted();
        onEvent({ type: "tokens", split, ...progress });
      };
      const onResume = (before: ShardsBefore) => onEvent({ type: "resumed", split, ...before });
      const how = { ...options.shards, ...(settings.threads && { threads: settings.threads }), signal };
      const index =
        (await finishedBefore(out, tokenizer, origin)) ??
        (await writeShards({ source, tokenizer, out, origin, ...how, onResume, onProgress }));
      const { documents, tokens, bytes, characters, words } = index;
      splits.push({ split, out, documents, tokens, bytes, characters, words });
      onEvent({ type: "split", ...splits[splits.length - 1] });
    }
    return { out: settings.out, data: corpus.data, vocabSize: tokenizer.vocabSize, splits };
  } finally {
    await folder?.release();
    await corpus.close();
  }
}

/** Makes and locks a folder. When it is released and still empty, it is removed. */
async function takeFolder(out: string): Promise<{ release(): Promise<void> }> {
  const made = await mkdir(out, { recursive: true }).catch((error) => {
    throw writeError(error, out);
  });
  const lock: RunLock = await acquireRunLock(out, "preparing text");
  return {
    async release() {
      lock.release();
      if (made !== undefined) await rmdir(out).catch(() => undefined);
    },
  };
}

/** The settings that say how a text is read. */
export function textOptions({ field, split, limit }: Pick<PrepareSettings, "field" | "split" | "limit">) {
  return { field, split, limit };
}

export interface PartToPrepare {
  readonly split: Split;
  readonly out: string;
  readonly source: TextSource;
  readonly origin: ShardOrigin;
}

/** Train and validation, each in its own folder; or the only split, chosen or published. */
export function partsOf(corpus: Corpus, { out, tokenizer, vocab, seed }: PrepareSettings): PartToPrepare[] {
  const all = [...corpus.splits.keys()];
  const splits = all.length === 1 ? all : all.filter((split) => split !== "test");
  return splits.map((split) => ({
    split,
    out: splits.length === 1 ? out : join(out, split),
    source: corpus.splits.get(split) as TextSource,
    origin: { ...corpus.origin(split), ...(tokenizer === undefined ? { vocab, seed } : {}) },
  }));
}

function refuseFinished(out: string): void {
  const parts = Object.values(preparedParts(out) ?? {});
  if (parts.length === 0 || !parts.every((part) => existsSync(join(part, "index.json")))) return;
  throw new LonghandError(
    "usage",
    `\`out\` ${out}: it holds prepared text already; choose another folder or remove it`,
  );
}

/** The tokenizer of the interrupted preparation that is continued, or a new one. */
async function tokenizerOf(
  [first]: readonly PartToPrepare[],
  settings: PrepareSettings,
  shards: PrepareOptions["shards"],
): Promise<TextTokenizer> {
  const begun = existsSync(join(first.out, "index.json")) || canResumeShards({ ...first, ...shards });
  if (begun) return loadTokenizer(join(first.out, "tokenizer.json"));
  return trainTokenizer({ source: first.source, vocabSize: settings.vocab, seed: settings.seed });
}

/** The totals of finished shards of the same text; undefined without any. Throws "usage" for shards of other text. */
async function finishedBefore(
  out: string,
  tokenizer: TextTokenizer,
  origin: ShardOrigin,
): Promise<Pick<ShardIndex, "documents" | "tokens" | "bytes" | "characters" | "words"> | undefined> {
  if (!existsSync(join(out, "index.json"))) return undefined;
  await rm(join(out, JOURNAL_FILE), { force: true }); // the process may have ended between the two
  const shards = await openShards(out);
  shards.close();
  if (shards.tokenizerDigest === tokenizer.digest && JSON.stringify(shards.origin) === JSON.stringify(origin))
    return shards;
  throw new LonghandError("usage", `\`out\` ${out}: it holds other prepared text; choose another folder or remove it`);
}
