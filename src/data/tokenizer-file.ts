/**
 * Writes and checks tokenizer.json (Hugging Face's format) for byte-level BPE, the one kind of tokenizer that Longhand
 * uses: GPT-2's pre-tokenizer, no prefix space, no normalizer, all 256 bytes in the vocabulary.
 */
import { isRecord, parseJsonObject } from "../base/checked-json.ts";
import { LonghandError } from "../base/errors.ts";
import { byteCharacters, byteLevelDecoder } from "./byte-level.ts";
import { SPECIAL_TOKENS, type SpecialTokens } from "./tokenizer.ts";

export type Merge = readonly [string, string];

export interface TokenizerFile {
  readonly vocabSize: number;
  readonly special: SpecialTokens;
  /** The bytes of every id; none for added tokens, the special ones among them. */
  readonly bytes: readonly Uint8Array[];
  /** The same tokenizer without added tokens: text that spells the name of a special token stays text. */
  readonly encoderJson: string;
}

const BYTE_LEVEL = { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: true };

/** The tokenizer.json of special tokens (ids 0, 1, 2), the 256 bytes (3 … 258), then a new token for each merge. */
export function tokenizerJson(merges: readonly Merge[]): string {
  const specials = Object.values(SPECIAL_TOKENS);
  const tokens = new Set<string>([...specials, ...byteCharacters()]);
  for (const [left, right] of merges) tokens.add(left + right);
  return bpeJson(
    Object.fromEntries([...tokens].map((token, id) => [token, id])),
    merges,
    specials.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
  );
}

/** A tokenizer.json with nothing in its vocabulary, to be trained. */
export function untrainedTokenizerJson(): string {
  return bpeJson({}, [], []);
}

function bpeJson(vocab: Record<string, number>, merges: readonly Merge[], added: readonly object[]): string {
  return JSON.stringify({
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: null,
    pre_tokenizer: BYTE_LEVEL,
    post_processor: null,
    decoder: BYTE_LEVEL,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab,
      merges,
    },
  });
}

/** Checks a tokenizer.json; `where` names it in messages. Throws "data" for any other kind of tokenizer. */
export function readTokenizerFile(json: string, where: string): TokenizerFile {
  const refuse = (problem: string): never => {
    throw new LonghandError("data", `tokenizer: ${where} ${problem}`);
  };
  const object = (value: unknown, name: string): Record<string, unknown> =>
    isRecord(value) ? value : refuse(`is not a tokenizer.json: expected an object at ${name}`);
  const file = parseJsonObject(json, (problem) => refuse(`is not a tokenizer.json: ${problem}`));
  const model = object(file.model, "model");
  const expect = (value: unknown, allowed: readonly unknown[], name: string): void => {
    if (allowed.includes(value)) return;
    const list = allowed.map((choice) => (choice === undefined ? "nothing" : JSON.stringify(choice)));
    refuse(
      `is not a byte-level BPE that Longhand can use: ${name} is ${JSON.stringify(value)}, not ${list.join(" or ")}`,
    );
  };
  expect(model.type, ["BPE"], "model.type");
  expect(model.dropout ?? null, [null, 0], "model.dropout");
  expect(model.continuing_subword_prefix ?? "", [""], "model.continuing_subword_prefix");
  expect(model.end_of_word_suffix ?? "", [""], "model.end_of_word_suffix");
  expect(file.normalizer ?? null, [null], "normalizer");
  const preTokenizer = object(file.pre_tokenizer, "pre_tokenizer");
  expect(preTokenizer.type, ["ByteLevel"], "pre_tokenizer.type");
  expect(preTokenizer.add_prefix_space, [false], "pre_tokenizer.add_prefix_space");
  expect(preTokenizer.use_regex ?? true, [true], "pre_tokenizer.use_regex");
  if (!Array.isArray(model.merges)) refuse("is not a tokenizer.json: expected a list at model.merges");

  const vocab = object(model.vocab, "model.vocab");
  const idOf = new Map<string, unknown>(Object.entries(vocab));
  const added = new Set<string>();
  for (const entry of Array.isArray(file.added_tokens) ? file.added_tokens : []) {
    const { id, content } = object(entry, "added_tokens");
    if (typeof content !== "string" || (idOf.has(content) && idOf.get(content) !== id)) {
      refuse(`gives the added token ${JSON.stringify(content)} two ids`);
    }
    idOf.set(content as string, id);
    added.add(content as string);
  }
  for (const name of Object.values(SPECIAL_TOKENS)) added.add(name);

  const vocabSize = idOf.size;
  const bytes = new Array<Uint8Array | undefined>(vocabSize).fill(undefined);
  const decode = byteLevelDecoder();
  for (const [token, id] of idOf) {
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= vocabSize || bytes[id]) {
      refuse(
        `gives ${JSON.stringify(token)} the id ${JSON.stringify(id)}; ids must be 0 to ${vocabSize - 1}, each once`,
      );
    }
    bytes[id as number] =
      (added.has(token) ? new Uint8Array(0) : decode(token)) ??
      refuse(`holds the token ${JSON.stringify(token)}, which is not written in byte-level characters`);
  }
  const missing = byteCharacters().findIndex((character) => !idOf.has(character));
  if (missing >= 0)
    refuse(`has no token for the byte 0x${missing.toString(16).padStart(2, "0")}, so not every text encodes`);
  const special = (name: string): number =>
    idOf.has(name)
      ? (idOf.get(name) as number)
      : refuse(`has no special token ${name}; train one by leaving \`tokenizer\` out`);
  return {
    vocabSize,
    special: {
      endOfText: special(SPECIAL_TOKENS.endOfText),
      padding: special(SPECIAL_TOKENS.padding),
      mask: special(SPECIAL_TOKENS.mask),
    },
    bytes: bytes as Uint8Array[],
    encoderJson: JSON.stringify({ ...file, added_tokens: [], post_processor: null, truncation: null, padding: null }),
  };
}
