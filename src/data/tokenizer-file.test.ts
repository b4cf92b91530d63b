import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { byteCharacters } from "./byte-level.ts";
import { textInMemory } from "./text-source.ts";
import { loadTokenizer, type TextTokenizer, tokenizerFromJson, trainTokenizer } from "./tokenizer.node.ts";

const text = "How much wood would a woodchuck chuck, if a woodchuck could chuck wood? ".repeat(3);
let tokenizer: TextTokenizer;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "longhand-tokenizer-file-"));
  tokenizer = await trainTokenizer({ source: textInMemory("text", [text]), vocabSize: 270, seed: 1 });
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("a tokenizer.json", () => {
  it("loads as it was saved", async () => {
    const path = join(folder, "tokenizer.json");
    writeFileSync(path, tokenizer.json);
    const loaded = await loadTokenizer(path);
    expect(loaded.digest).toBe(tokenizer.digest);
    expect(await loaded.encode(text)).toEqual(await tokenizer.encode(text));
  });

  it("is refused with the reason when it is another kind", async () => {
    const changed = (change: (file: Record<string, never>) => void) => {
      const file = JSON.parse(tokenizer.json);
      change(file);
      return () => tokenizerFromJson(JSON.stringify(file), "t.json");
    };
    await expect(loadTokenizer(join(folder, "none.json"))).rejects.toThrow(
      `tokenizer: ${join(folder, "none.json")} does not exist`,
    );
    expect(() => tokenizerFromJson("{", "t.json")).toThrow(
      "tokenizer: t.json is not a tokenizer.json: it is not valid JSON",
    );
    expect(() => tokenizerFromJson("[]", "t.json")).toThrow(
      "t.json is not a tokenizer.json: it must hold a JSON object",
    );
    expect(() => tokenizerFromJson("{}", "t.json")).toThrow("expected an object at model");
    // biome-ignore lint/suspicious/noExplicitAny: files broken on purpose
    type Any = any;
    expect(
      changed((file: Any) => {
        file.model.type = "Unigram";
      }),
    ).toThrow('model.type is "Unigram", not "BPE"');
    expect(
      changed((file: Any) => {
        file.model.dropout = 0.1;
      }),
    ).toThrow("model.dropout is 0.1, not null or 0");
    expect(
      changed((file: Any) => {
        file.normalizer = { type: "NFC" };
      }),
    ).toThrow("normalizer is");
    expect(
      changed((file: Any) => {
        file.pre_tokenizer.add_prefix_space = true;
      }),
    ).toThrow("pre_tokenizer.add_prefix_space is true, not false");
    expect(
      changed((file: Any) => {
        delete file.model.merges;
      }),
    ).toThrow("expected a list at model.merges");
    expect(
      changed((file: Any) => {
        file.model.vocab.A = 5000;
      }),
    ).toThrow('gives "A" the id 5000; ids must be 0 to 269, each once');
    expect(
      changed((file: Any) => {
        file.model.vocab.A = 70;
      }),
    ).toThrow("each once");
    expect(
      changed((file: Any) => {
        file.added_tokens[0].id = 9;
      }),
    ).toThrow('gives the added token "<|endoftext|>" two ids');
    expect(
      changed((file: Any) => {
        file.model.merges = [["q", "zz"]];
      }),
    ).toThrow("t.json cannot be used");
    expect(
      changed((file: Any) => {
        file.model.vocab.字 = 270;
      }),
    ).toThrow('holds the token "字", which is not written in byte-level characters');
    expect(
      changed((file: Any) => {
        const vocab = file.model.vocab;
        vocab["\u0101!!"] = vocab[byteCharacters()[0]];
        delete vocab[byteCharacters()[0]];
      }),
    ).toThrow("has no token for the byte 0x00");
    expect(
      changed((file: Any) => {
        file.added_tokens.pop();
        file.model.vocab["!!?"] = file.model.vocab["[MASK]"];
        delete file.model.vocab["[MASK]"];
      }),
    ).toThrow("has no special token [MASK]");
  });
});
