/**
 * What every source of text looks like to the tokenizer and the shard writer: documents, handed over as a stream of
 * pieces small enough to hold in memory. Sources of files stand in sources/; this one is for text that is already here.
 */
import { LonghandError } from "../base/errors.ts";
import { requireWellFormed, splitText } from "./pieces.ts";

export interface SourceDocument {
  /** Where the document came from, for messages: a file path or a name. */
  readonly path: string;
  /** Its size in bytes of UTF-8. */
  readonly bytes: number;
}

export interface TextPiece {
  /** Index into `documents`. */
  readonly document: number;
  /** Well-formed text; the pieces of a document, joined, are its text. */
  readonly text: string;
  /** Bytes of `text` in UTF-8. */
  readonly bytes: number;
  /** Whether this is the last piece of its document. */
  readonly last: boolean;
}

export interface TextSource {
  /** The path or name that the user gave. */
  readonly path: string;
  readonly documents: readonly SourceDocument[];
  /** Bytes of all documents, as found when the source was opened. */
  readonly totalBytes: number;
  /** The text from the beginning, document by document; may be called again for another pass. */
  pieces(): AsyncIterable<TextPiece>;
}

/** A source over strings, one document each. Empty strings are left out; lone surrogates are a data error. */
export function textInMemory(name: string, texts: readonly string[]): TextSource {
  const encoder = new TextEncoder();
  const kept = texts.filter((text) => text.length > 0);
  if (kept.length === 0) throw new LonghandError("data", `data: ${name} contains no text`);
  const documents = kept.map((text, i) => {
    const path = `${name}[${i}]`;
    requireWellFormed(text, path);
    return { path, bytes: encoder.encode(text).length };
  });
  return {
    path: name,
    documents,
    totalBytes: documents.reduce((sum, document) => sum + document.bytes, 0),
    async *pieces() {
      for (const [document, text] of kept.entries()) {
        const parts = splitText(text);
        for (const [i, part] of parts.entries()) {
          yield { document, text: part, bytes: encoder.encode(part).length, last: i === parts.length - 1 };
        }
      }
    },
  };
}
