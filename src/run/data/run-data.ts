/**
 * The tokens of a run: text tokenized into the run folder's `data`, or token shards that exist already; of one corpus, or of
 * several by weight, all with the same tokenizer. The held-out part is a text of its own, or that of each corpus: its
 * validation split or its end.
 */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { LonghandError } from "../../base/errors.ts";
import { writeDirectoryAtomic } from "../../checkpoint/atomic.node.ts";
import { limited } from "../../data/limit.ts";
import { isShardFile, JOURNAL_FILE } from "../../data/shard-format.node.ts";
import { type ShardOrigin, writeShards } from "../../data/shards.node.ts";
import { type Corpus, type DataSpec, nameOf, openCorpus } from "../../data/sources/corpus.ts";
import type { DownloadProgress } from "../../data/sources/hub/client.ts";
import type { Split } from "../../data/sources/splits.ts";
import type { TextSource } from "../../data/text-source.ts";
import { loadTokenizer, type TextTokenizer, trainTokenizer } from "../../data/tokenizer.node.ts";
import type { ResolvedData } from "../config.ts";
import type { DataPart } from "./corpora.ts";
import { evalShare, openTokens, type RunData } from "./run-tokens.ts";

export interface DataRequest {
  /** One corpus, or several by weight. */
  readonly parts: readonly DataPart[];
  readonly evalData?: DataSpec | undefined;
  /** Field or column of `evalData`. */
  readonly evalField?: string | undefined;
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
 * "data" when a part is shorter than one context, or when parts that are token shards have different tokenizers.
 */
export async function prepareRunData(
  runDir: string,
  request: DataRequest,
  { onProgress, onWarning, ready }: PrepareListener,
): Promise<RunData> {
  const { parts, evalData, vocab, seed } = request;
  refuseOptionsOfShards(request);
  const known = await knownTokenizer(request);
  const isText = (data: DataSpec) => preparedParts(data) === undefined;
  if (known !== undefined && ![...parts.map(({ data }) => data), ...(evalData ? [evalData] : [])].some(isText)) {
    const opened = await openRunData(runDir, request, known);
    await ready({ tokenizer: known, vocabSize: known.vocabSize, digest: known.digest });
    return opened;
  }
  const onDownload = (progress: DownloadProgress) =>
    onProgress({ stage: "download", done: progress.bytes / progress.totalBytes, ...progress });
  const corpora: (Corpus | undefined)[] = [];
  const open = async ({ data, field, split, limit }: Omit<DataPart, "weight">) => {
    corpora.push(isText(data) ? await openCorpus(data, { field, split, limit, onWarning, onDownload }) : undefined);
    return corpora[corpora.length - 1];
  };
  try {
    for (const part of parts) await open(part);
    const evalCorpus = evalData === undefined ? undefined : await open({ data: evalData, field: request.evalField });
    const texts = textsOf(corpora, evalCorpus, request);
    let tokenizer: TextTokenizer | undefined;
    await writeDirectoryAtomic(join(runDir, "data"), async (temporary) => {
      onProgress({ stage: "tokenizer", done: 0 });
      const source = texts.filter(({ weight }) => weight > 0);
      tokenizer = known ?? (await trainTokenizer({ source, vocabSize: vocab, seed }));
      const total = texts.reduce((sum, { source }) => sum + source.totalBytes, 0);
      let before = 0; // stored bytes
      for (const { folder, source, origin } of texts) {
        const onShards = ({ done }: { done: number }) =>
          onProgress({ stage: "tokens", done: (before + done * source.totalBytes) / total });
        const to = { out: join(temporary, folder), journalEveryMs: Number.POSITIVE_INFINITY };
        await writeShards({ source, tokenizer, origin, ...to, onProgress: onShards });
        before += source.totalBytes;
      }
      (await openParts(temporary, request, tokenizer)).close(); // the lengths are checked before anything is kept
      const { vocabSize, digest } = tokenizer;
      const paths = parts.map((_, i) => corpora[i]?.data);
      await ready({ tokenizer, vocabSize, digest, paths, evalPath: evalCorpus?.data });
    });
    return await openRunData(runDir, request, tokenizer as TextTokenizer);
  } finally {
    for (const corpus of corpora) await corpus?.close();
  }
}

/** A field is no mistake when there is a text to evaluate on that has it. */
function refuseOptionsOfShards({ parts, evalData }: DataRequest): void {
  for (const { data, field, split, limit } of parts) {
    if (preparedParts(data) === undefined) continue;
    refuseTextOptions(data, { field: evalData === undefined ? field : undefined, split, limit });
  }
}

/** What says how to read a text cannot be said of token shards. Throws "usage". */
export function refuseTextOptions(data: DataSpec, options: Readonly<Record<string, string | undefined>>): void {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    throw new LonghandError(
      "usage",
      `\`${name}\` ${value}: ${nameOf(data)} holds token shards, of which nothing can be chosen`,
    );
  }
}

/**
 * The tokenizer that was given, or that of the parts that are token shards; undefined when one is to be trained. Throws
 * "data" when these are not all the same, naming two that differ.
 */
async function knownTokenizer({ parts, tokenizer: file }: DataRequest): Promise<TextTokenizer | undefined> {
  let first: { readonly name: string; readonly tokenizer: TextTokenizer } | undefined;
  for (const { data } of parts) {
    const folder = preparedParts(data)?.train;
    if (folder === undefined) continue;
    const name = nameOf(data);
    const tokenizer = await loadTokenizer(join(folder, "tokenizer.json"));
    first ??= { name, tokenizer };
    if (tokenizer.digest === first.tokenizer.digest) continue;
    throw new LonghandError(
      "data",
      `data: ${first.name} and ${name} were made with different tokenizers; prepare both with the same \`tokenizer\``,
    );
  }
  const given = file === undefined ? undefined : await loadTokenizer(file);
  if (given !== undefined && first !== undefined && given.digest !== first.tokenizer.digest) {
    throw new LonghandError(
      "data",
      `\`tokenizer\` ${file}: ${first.name} was made with another tokenizer; leave the option out, or prepare the text again with \`tokenizer\` ${file}`,
    );
  }
  return first?.tokenizer ?? given;
}

interface TextToTokenize {
  /** Below the run's `data`. */
  readonly folder: string;
  readonly source: TextSource;
  readonly origin: ShardOrigin;
  /** What a tokenizer is trained by: 0 for what is held out. */
  readonly weight: number;
}

/** What is to be tokenized: each text to learn, and the texts to hold out where they are texts of their own. */
function textsOf(
  corpora: readonly (Corpus | undefined)[],
  evalCorpus: Corpus | undefined,
  request: DataRequest,
): TextToTokenize[] {
  const { parts, evalData, evalTokens } = request;
  const texts: TextToTokenize[] = [];
  for (const [i, { weight }] of parts.entries()) {
    const corpus = corpora[i];
    if (corpus === undefined) continue;
    const split = firstSplit(corpus);
    const folder = partFolder(parts, i);
    const of = (split: Split) => ({ source: corpus.splits.get(split) as TextSource, origin: corpus.origin(split) });
    texts.push({ folder: join(folder, "train"), ...of(split), weight });
    if (evalData !== undefined || split === "validation" || !corpus.splits.has("validation")) continue;
    const { source, origin } = of("validation");
    const bytes = BYTES_PER_TOKEN * (evalShare(evalTokens, shareOf(parts, weight)) + 1);
    texts.push({ folder: join(folder, "heldout"), source: limited(source, { bytes }), origin, weight: 0 });
  }
  if (evalCorpus !== undefined) {
    const split = evalCorpus.splits.has("validation") ? "validation" : firstSplit(evalCorpus);
    const source = evalCorpus.splits.get(split) as TextSource;
    texts.push({ folder: "heldout", source, origin: evalCorpus.origin(split), weight: 0 });
  }
  return texts;
}

function firstSplit(corpus: Corpus): Split {
  return [...corpus.splits.keys()][0];
}

/** Where the tokens of a part are written, below the run's `data`: those of a single corpus in it, of several in part-0, … */
function partFolder(parts: readonly DataPart[], index: number): string {
  return parts.length === 1 ? "" : `part-${index}`;
}

function shareOf(parts: readonly DataPart[], weight: number): number {
  return weight / parts.reduce((sum, part) => sum + part.weight, 0);
}

/** Opens what prepareRunData has written, or the shards that the run reads. Everything is verified. */
export function openRunData(runDir: string, request: DataRequest, tokenizer: TextTokenizer): Promise<RunData> {
  return openParts(join(runDir, "data"), request, tokenizer);
}

function openParts(folder: string, request: DataRequest, tokenizer: TextTokenizer): Promise<RunData> {
  const { parts, evalData, evalFraction, evalTokens, context } = request;
  const evalParts = evalData === undefined ? undefined : preparedParts(evalData);
  return openTokens({
    parts: parts.map(({ data, weight }, i) => {
      const own = join(folder, partFolder(parts, i));
      const heldOut = join(own, "heldout");
      const prepared = preparedParts(data) ?? {
        train: join(own, "train"),
        validation: existsSync(heldOut) ? heldOut : undefined,
      };
      return { data, share: shareOf(parts, weight), train: prepared.train as string, heldOut: prepared.validation };
    }),
    evaluate:
      evalData === undefined
        ? undefined
        : { data: evalData, folder: evalParts?.validation ?? evalParts?.train ?? join(folder, "heldout") },
    ...{ evalFraction, evalTokens, context, tokenizer },
  });
}
