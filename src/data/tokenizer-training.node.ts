/**
 * Learns the merges of byte-level BPE with the `tokenizers` package. Its trainer always goes to 30,000 tokens, blocks,
 * and prints to standard output; so it runs in a child process, and smaller vocabularies take its first merges, which
 * is what a smaller training would have learnt.
 */
import { spawn } from "node:child_process";
import { mkdtemp, open, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LonghandError, messageOf } from "../base/errors.ts";
import { sampleText } from "./text-sample.ts";
import type { TextSource } from "./text-source.ts";
import { type Merge, tokenizerJson, untrainedTokenizerJson } from "./tokenizer-file.ts";

export interface TrainingRequest {
  /** One text, or several by weight: each fills its share of the sample, where it has that much text. */
  readonly source: TextSource | readonly WeightedText[];
  /** Tokens wanted, special tokens and the 256 bytes included: 260 … 30000. */
  readonly vocabSize: number;
  /** Decides which pieces are sampled when the text is larger than the sample. */
  readonly seed: number;
  /** The most text to learn from, in bytes; default 16 MiB. */
  readonly sampleBytes?: number;
}

interface WeightedText {
  readonly source: TextSource;
  /** Above 0. */
  readonly weight: number;
}

const FIXED_TOKENS = 3 + 256;
const MOST_TOKENS = 30_000;
const SAMPLE_BYTES = 16 * 1024 * 1024;

const TRAIN_SCRIPT = `
const [, module, untrained, sample, result] = process.argv;
const { Tokenizer } = require(module);
const tokenizer = Tokenizer.fromString(untrained);
tokenizer.train([sample]);
tokenizer.save(result, false);
`;

/**
 * The tokenizer.json learnt from a seeded sample of the source; the same source and seed give the same text. Text too
 * small for the vocabulary asked gives a smaller one. Throws "usage" for numbers out of range.
 */
export async function trainTokenizerJson({ source, vocabSize, seed, sampleBytes }: TrainingRequest): Promise<string> {
  if (!Number.isInteger(vocabSize) || vocabSize <= FIXED_TOKENS || vocabSize > MOST_TOKENS) {
    throw new LonghandError(
      "usage",
      `vocab: expected a whole number from ${FIXED_TOKENS + 1} to ${MOST_TOKENS}, got ${vocabSize}`,
    );
  }
  if (!Number.isSafeInteger(seed)) throw new LonghandError("usage", `seed: expected a whole number, got ${seed}`);
  const limit = sampleBytes ?? SAMPLE_BYTES;
  if (!Number.isInteger(limit) || limit < 1) {
    throw new LonghandError("usage", `sampleBytes: expected a whole number of at least 1, got ${sampleBytes}`);
  }
  const folder = await mkdtemp(join(tmpdir(), "longhand-tokenizer-")).catch(refused);
  try {
    const sample = join(folder, "sample.txt");
    await writeSample("pieces" in source ? [{ source, weight: 1 }] : source, sample, seed, limit);
    const result = join(folder, "trained.json");
    await runTrainer(sample, result);
    const { model } = JSON.parse(await readFile(result, "utf8")) as { model: { merges: Merge[] } };
    return tokenizerJson(firstMerges(model.merges, vocabSize - FIXED_TOKENS));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Merges in order until `count` different tokens were made; two merges may make the same one. */
function firstMerges(merges: readonly Merge[], count: number): Merge[] {
  const made = new Set<string>();
  const kept: Merge[] = [];
  for (const [left, right] of merges) {
    if (!made.has(left + right) && made.size === count) break;
    made.add(left + right);
    kept.push([left, right]);
  }
  return kept;
}

/**
 * Writes the sample. The trainer reads line by line: a line feed after each piece bounds the length of lines, and being
 * a word of its own it changes no count.
 */
async function writeSample(texts: readonly WeightedText[], path: string, seed: number, limit: number): Promise<void> {
  const total = texts.reduce((sum, { weight }) => sum + weight, 0);
  const file = await open(path, "w").catch(refused);
  try {
    for (const { source, weight } of texts) {
      const sample = await sampleText(source, { seed, bytes: Math.max(1, Math.floor((limit * weight) / total)) });
      for (const text of sample) await file.writeFile(`${text}\n`).catch(refused);
    }
  } finally {
    await file.close();
  }
}

function refused(error: unknown): never {
  throw new LonghandError("io", `tokenizer: cannot write to the temporary folder ${tmpdir()}: ${messageOf(error)}`, {
    cause: error,
  });
}

function runTrainer(sample: string, result: string): Promise<void> {
  const module = createRequire(import.meta.url).resolve("tokenizers");
  const child = spawn(process.execPath, ["-e", TRAIN_SCRIPT, module, untrainedTokenizerJson(), sample, result], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, NODE_OPTIONS: "" },
  });
  let complaint = "";
  child.stderr.on("data", (chunk) => {
    complaint = (complaint + chunk).slice(-2000);
  });
  return new Promise((resolve, reject) => {
    const fail = (reason: string, cause?: unknown) =>
      reject(new LonghandError("data", `tokenizer: training failed: ${reason}`, { cause }));
    child.on("error", (error) => fail(messageOf(error), error));
    child.on("close", (code, signal) => {
      if (code === 0) resolve();
      else if (signal) fail(`its process was ended by ${signal}`);
      else fail(/^\w*Error: .*$/m.exec(complaint)?.[0] ?? `its process exited with status ${code}`);
    });
  });
}
