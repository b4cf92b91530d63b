/**
 * A table of words and their tokens in front of the native encoder. Byte-level BPE encodes each word by itself, and
 * most words of a text have occurred before: looking one up is several times faster than merging it again. The native
 * encoder alone decides the tokens of a word; the table remembers them.
 *
 * Text is divided into words here, by the pre-tokenizer's regular expression in JavaScript. Two regular-expression
 * engines can differ only in what counts as a letter, a digit or white space, which depends on the version of Unicode.
 * So the native encoder is asked once about each character beyond ASCII; a piece with a character on which they differ
 * goes to it whole.
 */
import { splitWords } from "./pieces.ts";

/** What the table needs of the native encoder. */
export interface WordLibrary {
  /** The token ids of each text. */
  encode(texts: readonly string[]): Promise<readonly (readonly number[])[]>;
  /** The number of UTF-8 bytes of each word of a text, as the library divides it. */
  wordBytes(text: string): number[];
}

interface Word {
  /** Empty until the library has answered; no word has none. */
  ids: readonly number[];
}

/** Words of one generation; there are two. About 10 MB. */
const GENERATION = 65_536;
/** Longer words (in UTF-16 units: rows of dashes, text without spaces) rarely occur again and would fill the memory. */
const LONGEST_WORD = 48;

/** What is known of a code point. */
const UNKNOWN = 0;
const SAME = 1;
const OTHER = 2;

export class WordTable {
  readonly #library: WordLibrary;
  readonly #generation: number;
  /** A word that is looked up moves to the recent ones; when they are full, words not looked up since are dropped. */
  #recent = new Map<string, Word>();
  #older = new Map<string, Word>();
  readonly #characters = new Uint8Array(0x110000);

  constructor(library: WordLibrary, generation = GENERATION) {
    this.#library = library;
    this.#generation = generation;
  }

  /** Words that are remembered. */
  get size(): number {
    return this.#recent.size + this.#older.size;
  }

  /** The token ids of each piece of well-formed text, equal to the library's own. */
  async encode(pieces: readonly string[]): Promise<Int32Array[]> {
    const missing = new Map<string, Word>();
    const divided = pieces.map((piece) => this.#look(this.#words(piece), missing));
    if (missing.size > 0) {
      const answers = await this.#library.encode([...missing.keys()]);
      let i = 0;
      for (const word of missing.values()) word.ids = answers[i++];
    }
    return divided.map(joinIds);
  }

  #words(piece: string): readonly string[] {
    return this.#dividesAlike(piece) ? splitWords(piece) : [piece];
  }

  /** The entry of each word; those without tokens as yet are noted in `missing`. */
  #look(words: readonly string[], missing: Map<string, Word>): Word[] {
    return words.map((text) => {
      const word = this.#remembered(text) ?? missing.get(text) ?? this.#remember(text);
      if (word.ids.length === 0) missing.set(text, word);
      return word;
    });
  }

  #remembered(text: string): Word | undefined {
    const recent = this.#recent.get(text);
    if (recent !== undefined) return recent;
    const older = this.#older.get(text);
    if (older !== undefined) this.#put(text, older);
    return older;
  }

  #remember(text: string): Word {
    const word: Word = { ids: [] };
    if (text.length <= LONGEST_WORD) this.#put(text, word);
    return word;
  }

  #put(text: string, word: Word): void {
    if (this.#recent.size >= this.#generation) {
      this.#older = this.#recent;
      this.#recent = new Map();
    }
    // A substring would keep the whole string in memory: the key is a copy.
    this.#recent.set(Buffer.from(text).toString(), word);
  }

  /** Whether the library divides this piece as `splitWords` does. */
  #dividesAlike(piece: string): boolean {
    if (!/[^\0-\x7f]/.test(piece)) return true;
    for (let i = 0; i < piece.length; i++) {
      let point = piece.charCodeAt(i);
      if (point < 0x80) continue;
      if (point >= 0xd800 && point < 0xdc00) point = piece.codePointAt(i++) as number;
      if (this.#characters[point] === UNKNOWN) this.#characters[point] = this.#ask(point) ? SAME : OTHER;
      if (this.#characters[point] === OTHER) return false;
    }
    return true;
  }

  /** Whether the library takes a code point for the same kind: it joins a word of its kind, and no other. */
  #ask(point: number): boolean {
    const character = String.fromCodePoint(point);
    const text = `a${character} 1${character} .${character} ${character}${character}a ${character}`;
    const ours = splitWords(text).map((word) => Buffer.byteLength(word));
    return ours.join() === this.#library.wordBytes(text).join();
  }
}

function joinIds(words: readonly Word[]): Int32Array {
  let length = 0;
  for (const { ids } of words) length += ids.length;
  const joined = new Int32Array(length);
  let at = 0;
  for (const { ids } of words) for (const id of ids) joined[at++] = id;
  return joined;
}
