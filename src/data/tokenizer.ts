/**
 * What a tokenizer is to the rest of the project. Runs in a browser; the tokenizer that trains and encodes natively is
 * tokenizer.node.ts.
 */

/** The special tokens. No text ever encodes to them, not even text that spells their names. */
export const SPECIAL_TOKENS = { endOfText: "<|endoftext|>", padding: "<|padding|>", mask: "[MASK]" } as const;

export type SpecialTokens = { readonly [K in keyof typeof SPECIAL_TOKENS]: number };

export interface TextTokenizer {
  /** Number of ids, special tokens included: ids are 0 … vocabSize - 1. */
  readonly vocabSize: number;
  /** The tokenizer in Hugging Face's tokenizer.json format. */
  readonly json: string;
  /** SHA-256 of `json`, 64 hexadecimal digits. */
  readonly digest: string;
  readonly special: SpecialTokens;
  /** The token ids of a text; never a special id. Half of a surrogate pair is a data error. */
  encode(text: string): Promise<Int32Array>;
  /** The token ids of each text, encoded in parallel. */
  encodeBatch(texts: readonly string[]): Promise<Int32Array[]>;
  /**
   * The text of token ids: exact for whatever `encode` returned. Special tokens have no text; bytes that are not UTF-8
   * become U+FFFD. An id outside the vocabulary is a usage error.
   */
  decode(ids: ArrayLike<number>): Promise<string>;
  /** The exact bytes of a token, none for a special token; do not modify. */
  bytesOf(id: number): Uint8Array;
}
