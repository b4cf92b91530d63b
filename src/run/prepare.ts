/** A corpus made into token shards: a folder of them, or one for each of the splits train and validation. */
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { LonghandError } from "../base/errors.ts";
import { writeFileAtomic } from "../checkpoint/atomic.node.ts";
import { openShards, type ShardIndex, type ShardOrigin, type ShardProgress, writeShards } from "../data/shards.node.ts";
import { type Corpus, type DataSpec, nameOf, openCorpus } from "../data/sources/corpus.ts";
import type { DownloadProgress } from "../data/sources/hub/client.ts";
import type { Split } from "../data/sources/splits.ts";
import type { TextSource } from "../data/text-source.ts";
import { loadTokenizer, type TextTokenizer, trainTokenizer } from "../data/tokenizer.node.ts";
import { preparedParts } from "./data.ts";
import { type PrepareSettings, type PrepareSettingsInput, parsePrepareSettings } from "./settings.ts";

export type PrepareEvent =
  | ({ readonly type: "download" } & DownloadProgress)
  | { readonly type: "tokenizer"; readonly vocabSize: number; readonly digest: string }
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
  /** Ends the preparation with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes `out`, or `out`/train and `out`/validation where the corpus has both. A split that an interrupted preparation of
 * the same text had finished is kept. Throws "usage" when `out` is finished already, "data" and "io" for text, disk, network.
 */
export async function prepare(input: PrepareSettingsInput, options: PrepareOptions = {}): Promise<PrepareResult> {
  const settings = parsePrepareSettings(input);
  const { onEvent = () => {}, signal } = options;
  if (preparedParts(settings.data) !== undefined) {
    throw new LonghandError("usage", `--data ${nameOf(settings.data)}: it is prepared already: train on it as it is`);
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
  try {
    const parts = partsOf(corpus, settings);
    const tokenizer = given ?? (await tokenizerOf(parts, settings));
    signal?.throwIfAborted();
    onEvent({ type: "tokenizer", vocabSize: tokenizer.vocabSize, digest: tokenizer.digest });
    if (parts.length > 1) {
      await mkdir(settings.out, { recursive: true });
      await writeFileAtomic(join(settings.out, "tokenizer.json"), [tokenizer.json]);
    }
    const splits: PreparedSplit[] = [];
    for (const { split, out, source, origin } of parts) {
      const onProgress = (progress: ShardProgress) => {
        signal?.throwIfAborted();
        onEvent({ type: "tokens", split, ...progress });
      };
      const index =
        (await finishedBefore(out, tokenizer, origin)) ??
        (await writeShards({ source, tokenizer, out, origin, onProgress }));
      const { documents, tokens, bytes, characters, words } = index;
      splits.push({ split, out, documents, tokens, bytes, characters, words });
      onEvent({ type: "split", ...splits[splits.length - 1] });
    }
    return { out: settings.out, data: corpus.data, vocabSize: tokenizer.vocabSize, splits };
  } finally {
    await corpus.close();
  }
}

/** How a text is read, of settings. */
export function textOptions({ field, split, limit }: Pick<PrepareSettings, "field" | "split" | "limit">) {
  return { field, split, limit };
}

export interface PartToPrepare {
  readonly split: Split;
  readonly out: string;
  readonly source: TextSource;
  readonly origin: ShardOrigin;
}

/** Train and validation, each in a folder of its own; or the one split that was chosen or that there is. */
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
  throw new LonghandError("usage", `--out ${out}: it holds prepared text already; choose another folder or remove it`);
}

/** That of a split which an interrupted preparation had finished, or a new one. */
async function tokenizerOf(parts: readonly PartToPrepare[], settings: PrepareSettings): Promise<TextTokenizer> {
  const [first] = parts;
  if (existsSync(join(first.out, "index.json"))) return loadTokenizer(join(first.out, "tokenizer.json"));
  return trainTokenizer({ source: first.source, vocabSize: settings.vocab, seed: settings.seed });
}

/** The totals of finished shards of the same text; undefined when there are none. Throws "usage" for others. */
async function finishedBefore(
  out: string,
  tokenizer: TextTokenizer,
  origin: ShardOrigin,
): Promise<Pick<ShardIndex, "documents" | "tokens" | "bytes" | "characters" | "words"> | undefined> {
  if (!existsSync(join(out, "index.json"))) return undefined;
  const shards = await openShards(out);
  shards.close();
  if (shards.tokenizerDigest === tokenizer.digest && JSON.stringify(shards.origin) === JSON.stringify(origin))
    return shards;
  throw new LonghandError("usage", `--out ${out}: it holds other prepared text; choose another folder or remove it`);
}
