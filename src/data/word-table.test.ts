import fc from "fast-check";
import { Tokenizer } from "tokenizers";
import { describe, expect, it } from "vitest";
import { chapters } from "../../test/support/hub/corpora.ts";
import { byteCharacters } from "./byte-level.ts";
import { splitText, splitWords } from "./pieces.ts";
import { textInMemory } from "./text-source.ts";
import { tokenizerFromJson, trainTokenizer } from "./tokenizer.node.ts";
import { type Merge, readTokenizerFile, tokenizerJson } from "./tokenizer-file.ts";
import { type WordLibrary, WordTable } from "./word-table.node.ts";

const preTokenizer = Tokenizer.fromString(tokenizerJson([])).getPreTokenizer();
const wordBytes = (text: string) => preTokenizer?.preTokenizeString(text).map(([word]) => word.length) ?? [];
/** A library whose tokens are the sizes of the words: a word that is cut elsewhere shows, whatever the merges. */
const sizes: WordLibrary = { encode: async (texts) => texts.map(wordBytes), wordBytes };

/** The package's own ids of a text, by a tokenizer.json. */
async function nativeIds(json: string, text: string): Promise<number[]> {
  const native = Tokenizer.fromString(readTokenizerFile(json, "test").encoderJson);
  return (await native.encode(text, null, { addSpecialTokens: false })).getIds();
}

/** What has to do with borders of words in some way. */
const fragment = fc.oneof(
  fc.constantFrom(..." |  |   |\n|\r\n|\t|\u00a0|\u3000|\u2028|\u0085|\u001c|\u200b|\ufeff|\0".split("|")),
  fc.constantFrom(..."'|''|'s|'S|'ll|'re|’s|a|Zz|é|e\u0301|ß|7|42|½|²|Ⅷ|٣|๓|一|字|か|한|ابن|ไทย|हि".split("|")),
  fc.constantFrom(..."|,|.|--|—|_|。|😀|👩‍👩‍👧|\ud83c\udde9|\u{10940}|\ua7d2|\u{1e6c0}|\u{323b0}".split("|")),
  fc.string({ unit: "binary", maxLength: 3 }),
);
const awkwardText = fc.array(fragment, { maxLength: 40 }).map((parts) => parts.join(""));

describe("words are divided as the library divides them", () => {
  it("whatever the character, and in whatever Unicode it is new", async () => {
    const table = new WordTable(sizes);
    const every = (point: number) => (point < 0x3100 ? 1 : point < 0x10000 || point > 0x1efff ? 41 : 13);
    let differ = 0;
    for (let point = 1; point < 0x110000; point += every(point)) {
      if (point >= 0xd800 && point < 0xe000) continue;
      const x = String.fromCodePoint(point);
      const text = `${x}a${x} 1${x}. ${x}'s${x}${x}  ${x}\n`;
      const expected = wordBytes(text);
      const [got] = await table.encode([text]);
      if (expected.join() !== got.join()) expect.fail(`U+${point.toString(16)}: ${got} instead of ${expected}`);
      differ += Number(splitWords(text).length !== expected.length);
    }
    expect(differ).toBeGreaterThan(1); // U+0085 and U+FEFF at least: without a look at each they would be wrong
  }, 60_000);

  it("in texts of awkward borders", async () => {
    const table = new WordTable(sizes);
    await fc.assert(
      fc.asyncProperty(fc.array(awkwardText, { maxLength: 5 }), async (texts) => {
        expect((await table.encode(texts)).map((ids) => [...ids])).toEqual(texts.map(wordBytes));
      }),
      { numRuns: 1000 },
    );
  }, 60_000);

  it("and the tokens are those of the package for any list of merges", async () => {
    const letters = [..."abst' .é"].flatMap((letter) => [...Buffer.from(letter)]).map((byte) => byteCharacters()[byte]);
    /** Merges of what there is, in any order; some can never apply, and some make the token of another pair. */
    const merges = fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 1, maxLength: 40 }).map((picks) => {
      const tokens = [...letters];
      const list: Merge[] = [];
      for (const [i, j] of picks) {
        const merge: Merge = [tokens[i % tokens.length], tokens[j % tokens.length]];
        if (list.some(([a, b]) => a === merge[0] && b === merge[1])) continue;
        list.push(merge);
        tokens.push(merge.join(""));
      }
      return list;
    });
    const text = fc.string({ unit: fc.constantFrom(..."abst' .é\n"), maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(merges, text, async (list, sample) => {
        const json = tokenizerJson(list);
        const tokenizer = tokenizerFromJson(json);
        for (let again = 0; again < 2; again++) {
          expect([...(await tokenizer.encode(sample))]).toEqual(await nativeIds(json, sample));
        }
      }),
      { numRuns: 150 },
    );
  }, 60_000);

  it("and of books, at another vocabulary", async () => {
    const texts = chapters(1, 40);
    const { json } = await trainTokenizer({ source: textInMemory("some", texts), vocabSize: 3000, seed: 0 });
    const tokenizer = tokenizerFromJson(json);
    for (const text of texts) {
      const expected = await Promise.all(splitText(text).map((piece) => nativeIds(json, piece)));
      expect([...(await tokenizer.encode(text))]).toEqual(expected.flat());
    }
  }, 60_000);
});

/** A library that counts what it is asked. */
function counting(encode: WordLibrary["encode"] = sizes.encode) {
  const asked: string[] = [];
  const library: WordLibrary = {
    wordBytes,
    encode: (texts) => {
      asked.push(...texts);
      return encode(texts);
    },
  };
  return { library, asked };
}

describe("the table", () => {
  it("asks for a word once, and never keeps more than two generations", async () => {
    const { library, asked } = counting();
    const table = new WordTable(library, 100);
    await table.encode(["one two one two", "one two"]);
    expect(asked).toEqual(["one", " two", " one"]);
    for (let i = 0; i < 1000; i++) {
      const [ids] = await table.encode([`one w${"x".repeat(i % 30)} ${i}`]);
      expect([...ids]).toEqual(wordBytes(`one w${"x".repeat(i % 30)} ${i}`));
      expect(table.size).toBeLessThanOrEqual(200);
    }
    expect(asked.filter((word) => word === "one").length).toBe(1); // in use all the time
    const before = asked.length;
    await table.encode([" two"]);
    expect(asked.length).toBe(before + 1); // forgotten long ago
  });

  it("holds neither long words nor long pieces that are left to the library whole", async () => {
    const { library, asked } = counting();
    const table = new WordTable(library);
    const [dashes, foreign] = ["-".repeat(60), `one\u0085two ${"and more ".repeat(9)}`];
    for (let i = 0; i < 2; i++) await table.encode([dashes, dashes, foreign]);
    expect(table.size).toBe(0);
    expect(asked).toEqual([dashes, foreign, dashes, foreign]);
  });

  it("is right for calls at the same time, and after one that failed", async () => {
    let fail = true;
    const { library } = counting(async (texts) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      if (fail) throw new Error("no answer");
      return texts.map(wordBytes);
    });
    const table = new WordTable(library);
    await expect(table.encode(["a whale"])).rejects.toThrow("no answer");
    fail = false;
    const both = await Promise.all([table.encode(["a whale"]), table.encode(["the whale, a whale"])]);
    expect(both.map(([ids]) => [...ids])).toEqual([
      [1, 6],
      [3, 6, 1, 2, 6],
    ]);
  });
});
