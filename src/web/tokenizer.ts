/**
 * A tokenizer.json applied without Node: the same tokens as those of data/tokenizer.node.ts, by merges in JavaScript over
 * words that are remembered. Learning one is in tokenizer-training.ts.
 */
import { LonghandError, messageOf } from "../base/errors.ts";
import { sha256Hex } from "../base/sha256.ts";
import { requireWellFormed, splitText } from "../data/pieces.ts";
import type { SpecialTokens, TextTokenizer } from "../data/tokenizer.ts";
import { readTokenizerFile, type TokenizerFile } from "../data/tokenizer-file.ts";
import { type MergeTable, WordEncoder } from "./word-encoder.ts";
import { wordsOf } from "./words.ts";

/** The tokenizer of a tokenizer.json text; `where` names it in messages. Throws "data" for one that Longhand cannot use. */
export function webTokenizer(json: string, where = "tokenizer.json"): TextTokenizer {
  return new WebTokenizer(json, where);
}

class WebTokenizer implements TextTokenizer {
  readonly json: string;
  readonly digest: string;
  readonly vocabSize: number;
  readonly special: SpecialTokens;
  readonly #bytes: TokenizerFile["bytes"];
  readonly #words: WordEncoder;

  constructor(json: string, where: string) {
    const file = readTokenizerFile(json, where);
    this.json = json;
    this.digest = sha256Hex(json);
    this.vocabSize = file.vocabSize;
    this.special = file.special;
    this.#bytes = file.bytes;
    try {
      this.#words = new WordEncoder((JSON.parse(file.encoderJson) as { model: MergeTable }).model);
    } catch (error) {
      throw new LonghandError("data", `tokenizer: ${where} cannot be used: ${messageOf(error)}`, { cause: error });
    }
  }

  async encode(text: string): Promise<Int32Array> {
    requireWellFormed(text, "text to encode");
    const ids: number[] = [];
    for (const piece of splitText(text)) {
      for (const word of wordsOf(piece)) for (const id of this.#words.encode(word)) ids.push(id);
    }
    return Int32Array.from(ids);
  }

  async encodeBatch(texts: readonly string[]): Promise<Int32Array[]> {
    return Promise.all(texts.map((text) => this.encode(text)));
  }

  async decode(ids: ArrayLike<number>): Promise<string> {
    const parts = Array.from(ids, (id) => this.bytesOf(id));
    const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      joined.set(part, at);
      at += part.length;
    }
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(joined);
  }

  bytesOf(id: number): Uint8Array {
    const bytes = this.#bytes[id];
    if (bytes === undefined) {
      throw new LonghandError("usage", `token: expected an id from 0 to ${this.vocabSize - 1}, got ${id}`);
    }
    return bytes;
  }
}
