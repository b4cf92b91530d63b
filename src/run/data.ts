/**
 * The tokens of a run: text tokenized into the run folder's `data`, or token shards that exist already. The held-out
 * part is a text of its own, the validation split of the data, or the end of the data.
 */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { LonghandError } from "../base/errors.ts";
import { writeDirectoryAtomic } from "../checkpoint/atomic.node.ts";
import { limited } from "../data/limit.ts";
import { isShardFile, JOURNAL_FILE } from "../data/shard-format.node.ts";
import { openShards, type ShardOrigin, type TokenShards, writeShards } from "../data/shards.node.ts";
import { type Corpus, type DataSpec, nameOf, openCorpus } from "../data/sources/corpus.ts";
import type { DownloadProgress } from "../data/sources/hub/client.ts";
import type { Split } from "../data/sources/splits.ts";
import type { TextSource } from "../data/text-source.ts";
import { sliceTokens, splitHeldOut, type TokenSequence } from "../data/token-sequence.ts";
import { loadTokenizer, type TextTokenizer, trainTokenizer } from "../data/tokenizer.node.ts";
import type { ResolvedData } from "./config.ts";

export interface RunData {
  readonly tokenizer: TextTokenizer;
  readonly train: TokenSequence;
  /** At most evalTokens of the held-out part. */
  readonly heldOut: TokenSequence;
  close(): void;
}

export interface DataRequest {
  readonly data: DataSpec;
  readonly field?: string | undefined;
  readonly split?: string | undefined;
  readonly limit?: string | undefined;
  readonly evalData?: string | undefined;
  readonly evalFraction: number;
  readonly evalTokens: number;
  readonly vocab: number;
  /** Path of an existing tokenizer.json. */
  readonly tokenizer?: string | undefined;
  readonly seed: number;
  readonly context: number;
}

export type PrepareProgress =
  | {
      readonly stage: "tokenizer" | "tokens";
      /** 0 … 1 */
      readonly done: number;
    }
  | ({ readonly stage: "download"; readonly done: number } & DownloadProgress);

export interface PrepareListener {
  readonly onProgress: (progress: PrepareProgress) => void;
  readonly onWarning: (message: string) => void;
  /** Told the tokenizer and where the data are, before anything of the run is kept. */
  readonly ready: (resolved: ResolvedData & { readonly tokenizer: TextTokenizer }) => Promise<void>;
}

/** More text than that never makes one token: what bounds the held-out text that is prepared. */
const BYTES_PER_TOKEN = 32;

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

/**
 * Tokenizes what is text into `<run>/data`, which appears only when it is complete and `ready` has succeeded. Throws
 * "data" when either part is shorter than one context.
 */
export async function prepareRunData(
  runDir: string,
  request: DataRequest,
  { onProgress, onWarning, ready }: PrepareListener,
): Promise<RunData> {
  const { data, evalData, field, split, limit, vocab, seed } = request;
  const prepared = preparedParts(data);
  if (prepared !== undefined) {
    refuseTextOptions(data, { field: evalData === undefined ? field : undefined, split, limit });
  }
  if (prepared?.train !== undefined && (evalData === undefined || preparedParts(evalData) !== undefined)) {
    const tokenizer = await loadTokenizer(join(prepared.train, "tokenizer.json"));
    const opened = await openRunData(runDir, request, tokenizer);
    await ready({ tokenizer, vocabSize: tokenizer.vocabSize, digest: tokenizer.digest });
    return opened;
  }
  const options = {
    field,
    onWarning,
    onDownload: (progress: DownloadProgress) =>
      onProgress({ stage: "download", done: progress.bytes / progress.totalBytes, ...progress }),
  };
  const corpora: Corpus[] = [];
  const open = async (path: DataSpec | undefined, more: { split?: string | undefined; limit?: string | undefined }) => {
    if (path === undefined || preparedParts(path) !== undefined) return undefined;
    const corpus = await openCorpus(path, { ...options, ...more });
    corpora.push(corpus);
    return corpus;
  };
  try {
    const corpus = await open(data, { split, limit });
    const evalCorpus = await open(evalData, {});
    const texts = textsOf(corpus, evalCorpus, request);
    let tokenizer: TextTokenizer | undefined;
    await writeDirectoryAtomic(join(runDir, "data"), async (temporary) => {
      onProgress({ stage: "tokenizer", done: 0 });
      const [train] = texts;
      if (prepared?.train !== undefined) tokenizer = await loadTokenizer(join(prepared.train, "tokenizer.json"));
      else if (request.tokenizer !== undefined) tokenizer = await loadTokenizer(request.tokenizer);
      else tokenizer = await trainTokenizer({ source: train.source, vocabSize: vocab, seed });
      const total = texts.reduce((sum, { source }) => sum + source.totalBytes, 0);
      let before = 0; // stored bytes
      for (const { name, source, origin } of texts) {
        const onShards = ({ done }: { done: number }) =>
          onProgress({ stage: "tokens", done: (before + done * source.totalBytes) / total });
        const to = { out: join(temporary, name), journalEveryMs: Number.POSITIVE_INFINITY };
        await writeShards({ source, tokenizer, origin, ...to, onProgress: onShards });
        before += source.totalBytes;
      }
      (await openParts(temporary, request, tokenizer)).close(); // the lengths are checked before anything is kept
      const { vocabSize, digest } = tokenizer;
      await ready({ tokenizer, vocabSize, digest, path: corpus?.data, evalPath: evalCorpus?.data });
    });
    return await openRunData(runDir, request, tokenizer as TextTokenizer);
  } finally {
    for (const corpus of corpora) await corpus.close();
  }
}

/** What says how to read a text cannot be said of token shards. Throws "usage". */
export function refuseTextOptions(data: DataSpec, options: Readonly<Record<string, string | undefined>>): void {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    throw new LonghandError(
      "usage",
      `--${name} ${value}: ${nameOf(data)} holds token shards, of which nothing can be chosen`,
    );
  }
}

interface TextPart {
  readonly name: "train" | "heldout";
  readonly source: TextSource;
  readonly origin: ShardOrigin;
}

/** What is to be tokenized: the text to learn, and a text to hold out where there is one of its own. */
function textsOf(corpus: Corpus | undefined, evalCorpus: Corpus | undefined, request: DataRequest): TextPart[] {
  const texts: TextPart[] = [];
  const add = (name: TextPart["name"], from: Corpus, split: Split) =>
    texts.push({ name, source: from.splits.get(split) as TextSource, origin: from.origin(split) });
  if (corpus !== undefined) add("train", corpus, firstSplit(corpus));
  if (evalCorpus !== undefined) {
    add("heldout", evalCorpus, evalCorpus.splits.has("validation") ? "validation" : firstSplit(evalCorpus));
  } else if (corpus?.splits.has("validation") && firstSplit(corpus) !== "validation") {
    const most = { bytes: BYTES_PER_TOKEN * (request.evalTokens + 1) };
    const source = limited(corpus.splits.get("validation") as TextSource, most);
    texts.push({ name: "heldout", source, origin: corpus.origin("validation") });
  }
  return texts;
}

function firstSplit(corpus: Corpus): Split {
  return [...corpus.splits.keys()][0];
}

/** Opens what prepareRunData has written, or the shards that the run reads. Everything is verified. */
export function openRunData(runDir: string, request: DataRequest, tokenizer: TextTokenizer): Promise<RunData> {
  return openParts(join(runDir, "data"), request, tokenizer);
}

async function openParts(folder: string, request: DataRequest, tokenizer: TextTokenizer): Promise<RunData> {
  const { data, evalFraction, evalTokens, context } = request;
  const open: TokenShards[] = [];
  const close = () => {
    for (const shards of open) shards.close();
  };
  const openPart = async (path: string) => {
    open.push(await openShards(path, { tokenizerDigest: tokenizer.digest }));
    return open[open.length - 1];
  };
  try {
    const all = await openPart(preparedParts(data)?.train ?? join(folder, "train"));
    requireContext(all.tokens, context, data);
    let [train, heldOut]: TokenSequence[] = [all, all];
    const own = heldOutShards(folder, request);
    if (own === undefined) ({ train, heldOut } = splitHeldOut(all, evalFraction, all.documentStarts));
    else heldOut = await openPart(own);
    requireContext(train.tokens, context, data);
    if (heldOut.tokens < 2) {
      throw new LonghandError("data", `data: ${nameOf(data)} leaves 1 token to evaluate on, too few; give more text`);
    }
    return { tokenizer, train, heldOut: sliceTokens(heldOut, 0, Math.min(heldOut.tokens, evalTokens + 1)), close };
  } catch (error) {
    close();
    throw error;
  }
}

/** The shards of a held-out text of its own; undefined when the end of the data is held out. */
function heldOutShards(folder: string, { data, evalData }: DataRequest): string | undefined {
  const written = join(folder, "heldout");
  if (evalData !== undefined) {
    const parts = preparedParts(evalData);
    return parts === undefined ? written : (parts.validation ?? parts.train);
  }
  return preparedParts(data)?.validation ?? (existsSync(written) ? written : undefined);
}

function requireContext(tokens: number, context: number, data: DataSpec): void {
  if (tokens > context) return;
  const needed = `a context of ${context} needs at least ${context + 1}`;
  throw new LonghandError(
    "data",
    `data: ${nameOf(data)} gives ${tokens} tokens to learn, and ${needed}; give more text or a smaller --context`,
  );
}
