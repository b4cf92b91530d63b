/** A batch of pieces made into tokens and counted: the work of one thread of a preparation, and of a short text. */
import { isSpace, TextCounter } from "./text-count.ts";
import type { TextTokenizer } from "./tokenizer.ts";

export interface PieceText {
  /** Not empty. */
  readonly text: string;
  /** Whether a document ends with it. */
  readonly last: boolean;
}

export interface EncodedPieces {
  /** The tokens of all pieces in order, and the end-of-text token after each piece that ends a document. */
  readonly ids: Uint16Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;
  /** For each document that ends here, the place in `ids` after its end-of-text token. */
  readonly ends: Uint32Array<ArrayBuffer>;
  /** Code points, and words as TextCounter counts them when the text before ended with white space. */
  readonly characters: number;
  readonly words: number;
  /** Whether the text begins with, and ends within, something that is not white space. */
  readonly beginsInWord: boolean;
  readonly endsInWord: boolean;
}

/** Encodes pieces for shards of this token width (bytes). What may be thrown is what the tokenizer throws. */
export async function encodePieces(
  tokenizer: Pick<TextTokenizer, "encodeBatch" | "special">,
  width: 2 | 4,
  pieces: readonly PieceText[],
): Promise<EncodedPieces> {
  const parts = await tokenizer.encodeBatch(pieces.map(({ text }) => text));
  const documents = pieces.reduce((sum, { last }) => sum + Number(last), 0);
  const length = parts.reduce((sum, part) => sum + part.length, documents);
  const ids = width === 2 ? new Uint16Array(length) : new Uint32Array(length);
  const ends = new Uint32Array(documents);
  const counter = new TextCounter();
  let at = 0;
  let ended = 0;
  for (const [i, { text, last }] of pieces.entries()) {
    ids.set(parts[i], at);
    at += parts[i].length;
    counter.add(text);
    if (!last) continue;
    ids[at++] = tokenizer.special.endOfText;
    ends[ended++] = at;
    counter.endDocument();
  }
  return {
    ids,
    ends,
    characters: counter.characters,
    words: counter.words,
    beginsInWord: !isSpace(pieces[0].text.charCodeAt(0)),
    endsInWord: counter.inWord,
  };
}
