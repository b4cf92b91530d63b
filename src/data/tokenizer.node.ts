/**
 * The tokenizer: byte-level BPE trained, loaded and run by the native `tokenizers` package. Encoding goes piece by
 * piece (the package slows down on long strings) and looks up words that were there before; the package encodes through
 * a copy without added tokens, so that no text can produce a special id. Decoding needs no native code.
 */
import { readFile } from "node:fs/promises";
import { Tokenizer } from "tokenizers";
import { LonghandError, messageOf } from "../base/errors.ts";
import { readError, sha256 } from "../base/files.node.ts";
import { requireWellFormed, splitText } from "./pieces.ts";
import type { SpecialTokens, TextTokenizer } from "./tokenizer.ts";
import { readTokenizerFile, type TokenizerFile } from "./tokenizer-file.ts";
import type { TrainingRequest } from "./tokenizer-request.ts";
import { trainTokenizerJson } from "./tokenizer-training.node.ts";
import { type WordLibrary, WordTable } from "./word-table.node.ts";

export type { TextTokenizer } from "./tokenizer.ts";

/** Text encoded at once, in UTF-16 units: keeps the threads of the native encoder busy, takes some megabytes. */
const UNITS_AT_ONCE = 640_000;

/**
 * Trains byte-level BPE on (a seeded sample of) the source. Special tokens are ids 0, 1, 2; bytes 3 … 258; merges
 * follow. A text too small for `vocabSize` gives a smaller vocabulary: read `vocabSize` of the result. Deterministic.
 * Throws "usage" for a vocabulary outside 260 … 30000, "data" for a source that cannot be read.
 */
export async function trainTokenizer(request: TrainingRequest): Promise<TextTokenizer> {
  return tokenizerFromJson(await trainTokenizerJson(request), "the trained tokenizer");
}

/**
 * Loads a tokenizer.json; throws "data" when it is missing or not a byte-level BPE with all bytes and special tokens.
 */
export async function loadTokenizer(path: string): Promise<TextTokenizer> {
  let json: string;
  try {
    json = await readFile(path, "utf8");
  } catch (error) {
    throw readError(error, path, () => new LonghandError("data", `tokenizer: ${path} does not exist`));
  }
  return tokenizerFromJson(json, path);
}

/** The tokenizer of a tokenizer.json text; `where` names it in messages. */
export function tokenizerFromJson(json: string, where = "tokenizer.json"): TextTokenizer {
  return new NativeTokenizer(json, where);
}

class NativeTokenizer implements TextTokenizer {
  readonly json: string;
  readonly digest: string;
  readonly vocabSize: number;
  readonly special: SpecialTokens;
  readonly #bytes: TokenizerFile["bytes"];
  readonly #words: WordTable;

  constructor(json: string, where: string) {
    const file = readTokenizerFile(json, where);
    this.json = json;
    this.digest = sha256(json);
    this.vocabSize = file.vocabSize;
    this.special = file.special;
    this.#bytes = file.bytes;
    try {
      this.#words = new WordTable(nativeLibrary(Tokenizer.fromString(file.encoderJson)));
    } catch (error) {
      throw new LonghandError("data", `tokenizer: ${where} cannot be used: ${messageOf(error)}`, { cause: error });
    }
  }

  async encode(text: string): Promise<Int32Array> {
    const [ids] = await this.encodeBatch([text]);
    return ids;
  }

  async encodeBatch(texts: readonly string[]): Promise<Int32Array[]> {
    const pieces: string[] = [];
    const ends = texts.map((text) => {
      requireWellFormed(text, "text to encode");
      return pieces.push(...splitText(text));
    });
    const encoded: Int32Array[] = [];
    for (let start = 0; start < pieces.length; ) {
      let end = start;
      for (let units = 0; end < pieces.length && units < UNITS_AT_ONCE; end++) units += pieces[end].length;
      encoded.push(...(await this.#words.encode(pieces.slice(start, end))));
      start = end;
    }
    return ends.map((end, i) => joinIds(encoded.slice(i === 0 ? 0 : ends[i - 1], end)));
  }

  async decode(ids: ArrayLike<number>): Promise<string> {
    const parts = Array.from(ids, (id) => this.bytesOf(id));
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Buffer.concat(parts));
  }

  bytesOf(id: number): Uint8Array {
    const bytes = this.#bytes[id];
    if (bytes === undefined) {
      throw new LonghandError("usage", `token: expected an id from 0 to ${this.vocabSize - 1}, got ${id}`);
    }
    return bytes;
  }
}

function nativeLibrary(native: Tokenizer): WordLibrary {
  const preTokenizer = native.getPreTokenizer();
  return {
    encode: async (texts) => {
      const encodings = await native.encodeBatch([...texts], { addSpecialTokens: false });
      return encodings.map((encoding) => encoding.getIds());
    },
    // A word of the byte-level pre-tokenizer has a character for each byte.
    wordBytes: (text) => preTokenizer?.preTokenizeString(text).map(([word]) => word.length) ?? [],
  };
}

function joinIds(parts: readonly Int32Array[]): Int32Array {
  if (parts.length === 1) return parts[0];
  const ids = new Int32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    ids.set(part, offset);
    offset += part.length;
  }
  return ids;
}
