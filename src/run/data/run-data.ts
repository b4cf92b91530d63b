/**
 * Makes the tokens that a new run needs: each text becomes token shards in the run folder's `data`; token shards that exist
 * already are read where they are. All corpora have the same tokenizer, which is trained here unless one is given.
 */
import { join } from "node:path";
import { LonghandError } from "../../base/errors.ts";
import { writeDirectoryAtomic } from "../../checkpoint/atomic.node.ts";
import { type CorpusConfig, corporaIn, refuseTextOptions } from "../../config/corpora.ts";
import type { OpenedData } from "../../config/resolve.ts";
import type { RunConfig } from "../../config/run-config.ts";
import { type DataSpec, nameOf } from "../../data/data-spec.ts";
import { limited } from "../../data/limit.ts";
import { type ShardOrigin, writeShards } from "../../data/shards.node.ts";
import { type Corpus, openCorpus } from "../../data/sources/corpus.ts";
import type { DownloadProgress } from "../../data/sources/hub/client.ts";
import type { Split } from "../../data/sources/splits.ts";
import type { TextSource } from "../../data/text-source.ts";
import { loadTokenizer, type TextTokenizer, trainTokenizer } from "../../data/tokenizer.node.ts";
import { evalShare } from "../../training/corpora.ts";
import { openRunTokens, partFolder, preparedParts, type RunData } from "./run-tokens.ts";

type DataConfig = Pick<RunConfig, "data" | "from" | "training">;

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
  /** Called with the tokenizer and the places of the data before `data` appears; when it throws, nothing is kept. */
  readonly ready: (opened: OpenedData & { readonly tokenizer: TextTokenizer }) => Promise<void>;
}

/** No token stands for more text than this, which bounds how much held-out text is tokenized. */
const BYTES_PER_TOKEN = 32;

/**
 * Tokenizes texts into `<run>/data`, which appears only when it is complete and `ready` has succeeded. Throws "data" for a
 * corpus shorter than one context, and for shards of different tokenizers.
 */
export async function prepareRunData(
  runDir: string,
  config: DataConfig,
  { onProgress, onWarning, ready }: PrepareListener,
): Promise<RunData> {
  const { evalPath, field, vocab } = config.data;
  const parts = corporaIn(config);
  refuseOptionsOfShards(config);
  const known = await knownTokenizer(config);
  const isText = (path: DataSpec) => preparedParts(path) === undefined;
  const folder = join(runDir, "data");
  if (known !== undefined && ![...parts.map(({ path }) => path), ...(evalPath ? [evalPath] : [])].some(isText)) {
    const opened = await openRunTokens(folder, config, known);
    const { bytesPerToken } = opened;
    await ready({ tokenizer: known, vocabSize: known.vocabSize, digest: known.digest, bytesPerToken });
    return opened;
  }
  const onDownload = (progress: DownloadProgress) =>
    onProgress({ stage: "download", done: progress.bytes / progress.totalBytes, ...progress });
  const corpora: (Corpus | undefined)[] = [];
  const open = async ({ path, field, split, limit }: Omit<CorpusConfig, "weight">) => {
    corpora.push(isText(path) ? await openCorpus(path, { field, split, limit, onWarning, onDownload }) : undefined);
    return corpora[corpora.length - 1];
  };
  try {
    for (const part of parts) await open(part);
    const evalCorpus = evalPath === undefined ? undefined : await open({ path: evalPath, field });
    const texts = textsOf(corpora, evalCorpus, config);
    let tokenizer: TextTokenizer | undefined;
    await writeDirectoryAtomic(folder, async (temporary) => {
      if (known === undefined) onProgress({ stage: "tokenizer", done: 0 });
      const source = texts.filter(({ weight }) => weight > 0);
      tokenizer = known ?? (await trainTokenizer({ source, vocabSize: vocab, seed: config.training.seed }));
      const total = texts.reduce((sum, { source }) => sum + source.totalBytes, 0);
      let before = 0; // stored bytes
      for (const { folder, source, origin } of texts) {
        const onShards = ({ done }: { done: number }) =>
          onProgress({ stage: "tokens", done: (before + done * source.totalBytes) / total });
        const to = { out: join(temporary, folder), journalEveryMs: Number.POSITIVE_INFINITY };
        await writeShards({ source, tokenizer, origin, ...to, onProgress: onShards });
        before += source.totalBytes;
      }
      const opened = await openRunTokens(temporary, config, tokenizer); // checks the lengths before anything is kept
      opened.close();
      const { vocabSize, digest } = tokenizer;
      const paths = parts.map((_, i) => corpora[i]?.data);
      const { bytesPerToken } = opened;
      await ready({ tokenizer, vocabSize, digest, bytesPerToken, paths, evalPath: evalCorpus?.data });
    });
    return await openRunTokens(folder, config, tokenizer as TextTokenizer);
  } finally {
    for (const corpus of corpora) await corpus?.close();
  }
}

/** `field` is allowed where there is a text to evaluate on, which it then describes. */
function refuseOptionsOfShards(config: DataConfig): void {
  for (const { path, field, split, limit } of corporaIn(config)) {
    if (preparedParts(path) === undefined) continue;
    refuseTextOptions(path, { field: config.data.evalPath === undefined ? field : undefined, split, limit });
  }
}

/**
 * The given tokenizer, or that of the corpora that are token shards; undefined when one has to be trained. Throws "data"
 * naming two that differ.
 */
async function knownTokenizer(config: DataConfig): Promise<TextTokenizer | undefined> {
  const { tokenizer: file } = config.data;
  let first: { readonly name: string; readonly tokenizer: TextTokenizer } | undefined;
  for (const { path } of corporaIn(config)) {
    const folder = preparedParts(path)?.train;
    if (folder === undefined) continue;
    const name = nameOf(path);
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
    const again = `prepare the text again with \`tokenizer\` ${file}`;
    throw new LonghandError(
      "data",
      config.from === undefined
        ? `\`tokenizer\` ${file}: ${first.name} was made with another tokenizer; leave the setting out, or ${again}`
        : `data: ${first.name} was made with another tokenizer than that of ${config.from.path}; ${again}`,
    );
  }
  return first?.tokenizer ?? given;
}

interface TextToTokenize {
  /** Below the run's `data`. */
  readonly folder: string;
  readonly source: TextSource;
  readonly origin: ShardOrigin;
  /** Its share in the training of a tokenizer; 0 for held-out text. */
  readonly weight: number;
}

/** Every text to tokenize: each corpus that is no shards, its validation split, and the text at `evalPath`. */
function textsOf(
  corpora: readonly (Corpus | undefined)[],
  evalCorpus: Corpus | undefined,
  config: DataConfig,
): TextToTokenize[] {
  const { evalPath, evalTokens } = config.data;
  const parts = corporaIn(config);
  const texts: TextToTokenize[] = [];
  for (const [i, { weight, share }] of parts.entries()) {
    const corpus = corpora[i];
    if (corpus === undefined) continue;
    const split = firstSplit(corpus);
    const folder = partFolder(parts, i);
    const of = (split: Split) => ({ source: corpus.splits.get(split) as TextSource, origin: corpus.origin(split) });
    texts.push({ folder: join(folder, "train"), ...of(split), weight });
    if (evalPath !== undefined || split === "validation" || !corpus.splits.has("validation")) continue;
    const { source, origin } = of("validation");
    const bytes = BYTES_PER_TOKEN * (evalShare(evalTokens, share) + 1);
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
