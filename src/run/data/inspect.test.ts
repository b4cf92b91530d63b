/** What a look at prepared text counts: totals, lengths, duplicates, samples. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { writeShards } from "../../data/shards.node.ts";
import { textInMemory } from "../../data/text-source.ts";
import { trainTokenizer } from "../../data/tokenizer.node.ts";
import { histogram, inspectShards } from "./inspect.ts";

it("counts what is there, and finds what is there twice", async () => {
  const texts = ["one two", "three", "one two", "one two", "a 😀", "four ".repeat(300)];
  const source = textInMemory("texts", texts);
  const tokenizer = await trainTokenizer({ source, vocabSize: 300, seed: 1 });
  const out = mkdtempSync(join(tmpdir(), "longhand-inspect-"));
  try {
    await writeShards({ source, tokenizer, out, maxTokensPerShard: 7 });
    const [found, ...others] = await inspectShards(out, { samples: 10 });
    expect(others).toEqual([]);
    const lengths = (await tokenizer.encodeBatch(texts)).map((ids) => ids.length + 1);
    expect(found).toMatchObject({
      split: "train",
      documents: 6,
      tokens: lengths.reduce((sum, length) => sum + length),
      bytes: Buffer.byteLength(texts.join("")),
      words: 2 + 1 + 2 + 2 + 2 + 300,
      shortest: Math.min(...lengths),
      longest: Math.max(...lengths),
      duplicates: 2,
      duplicateShare: 2 / 6,
    });
    expect(found.lengths.reduce((sum, { documents }) => sum + documents, 0)).toBe(6);
    expect(found.samples.map(({ document }) => document)).toEqual([0, 1, 2, 3, 4, 5]);
    for (const { document, tokens, text } of found.samples) {
      expect(tokens).toBe(lengths[document]);
      expect(texts[document].startsWith(text)).toBe(true);
    }
  } finally {
    rmSync(out, { recursive: true });
  }
});

it("puts lengths into ranges that double, empty ones between included", () => {
  expect(histogram(Float64Array.of(4, 5, 7, 33))).toEqual([
    { from: 4, to: 8, documents: 3, tokens: 16 },
    { from: 8, to: 16, documents: 0, tokens: 0 },
    { from: 16, to: 32, documents: 0, tokens: 0 },
    { from: 32, to: 64, documents: 1, tokens: 33 },
  ]);
});
