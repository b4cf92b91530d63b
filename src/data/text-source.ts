/**
 * What every source of text looks like to the tokenizer and the shard writer: documents, handed over as a stream of
 * pieces small enough to hold in memory. Sources of files are in sources/; the one here is for text already in memory.
 */
import { LonghandError } from "../base/errors.ts";
import { requireWellFormed, splitText } from "./pieces.ts";

export interface SourceInput {
  /** What is read, as messages name it: a file path, a name, a file on the hub. */
  readonly path: string;
  /** Its size in bytes as it is stored: compressed, where it is. */
  readonly bytes: number;
}

export interface TextPiece {
  /** Index into `inputs`. */
  readonly input: number;
  /** Number of the document within its input, from 0. */
  readonly document: number;
  /** Well-formed text; the pieces of a document, joined, are its text. */
  readonly text: string;
  /** Bytes of `text` in UTF-8. */
  readonly bytes: number;
  /** Whether this is the last piece of its document. */
  readonly last: boolean;
  /** How far the pass has come with it: 0 … 1, by the bytes as they are stored. */
  readonly done: number;
}

/** A place between two documents, and the text before it. */
export interface TextPosition {
  /** The next document, as pieces number it. */
  readonly input: number;
  readonly document: number;
  /** Bytes of UTF-8 and documents before it. */
  readonly bytes: number;
  readonly documents: number;
}

export interface TextSource {
  /** The path or name that the user gave. */
  readonly path: string;
  readonly inputs: readonly SourceInput[];
  /** Stored bytes of all inputs, as found when the source was opened. */
  readonly totalBytes: number;
  /**
   * The text of these inputs, by default of all in order, from the beginning, document by document; may be called again
   * for another pass. Documents without text are left out.
   */
  pieces(inputs?: readonly number[]): AsyncIterable<TextPiece>;
  /** For a source whose end depends on the text before a position (a limit): its pieces from there on. */
  piecesFrom?(position: TextPosition): AsyncIterable<TextPiece>;
}

/** The pieces of `source.pieces()` from a position on. Inputs before it are not opened, documents are skipped. */
export async function* piecesFrom(source: TextSource, position: TextPosition): AsyncGenerator<TextPiece> {
  if (source.piecesFrom !== undefined) return yield* source.piecesFrom(position);
  const chosen = [...source.inputs.keys()].slice(position.input);
  if (chosen.length === 0) return;
  const left = chosen.reduce((sum, input) => sum + source.inputs[input].bytes, 0) / Math.max(1, source.totalBytes);
  for await (const piece of source.pieces(chosen)) {
    if (piece.input === position.input && piece.document < position.document) continue;
    yield { ...piece, done: 1 - left + left * piece.done };
  }
}

/** A source over strings, one document each. Empty strings are left out; lone surrogates are a data error. */
export function textInMemory(name: string, texts: readonly string[]): TextSource {
  const encoder = new TextEncoder();
  const kept = texts.filter((text) => text.length > 0);
  if (kept.length === 0) throw new LonghandError("data", `data: ${name} contains no text`);
  const inputs = kept.map((text, i) => {
    const path = `${name}[${i}]`;
    requireWellFormed(text, path);
    return { path, bytes: encoder.encode(text).length };
  });
  return {
    path: name,
    inputs,
    totalBytes: inputs.reduce((sum, input) => sum + input.bytes, 0),
    async *pieces(chosen = [...kept.keys()]) {
      for (const [at, input] of chosen.entries()) {
        const parts = splitText(kept[input]);
        for (const [i, text] of parts.entries()) {
          const done = (at + (i + 1) / parts.length) / chosen.length;
          yield { input, document: 0, text, bytes: encoder.encode(text).length, last: i === parts.length - 1, done };
        }
      }
    },
  };
}
