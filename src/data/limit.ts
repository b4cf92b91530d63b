/** A source cut off after so many bytes of text or documents, for a trial of a large corpus. */
import { LonghandError } from "../base/errors.ts";
import type { TextPiece, TextSource } from "./text-source.ts";

export type Limit = { readonly bytes: number } | { readonly documents: number };

const UNITS: Readonly<Record<string, number>> = { b: 1, kb: 1e3, mb: 1e6, gb: 1e9, tb: 1e12 };

/** Reads "500MB" or "10000docs"; throws "usage". */
export function parseLimit(text: string): Limit {
  const [, number = "", unit = ""] = /^\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*$/.exec(text) ?? [];
  const factor = UNITS[unit.toLowerCase()];
  const count = /^doc(ument)?s?$/i.test(unit) ? Number(number) : Math.round(Number(number) * (factor ?? Number.NaN));
  if (!Number.isSafeInteger(count) || count < 1) {
    throw new LonghandError("usage", `--limit ${text}: expected a size such as 500MB or a count such as 10000docs`);
  }
  return factor === undefined ? { documents: count } : { bytes: count };
}

/** The documents from the beginning up to the one in which the limit is reached, that one included. */
export function limited(source: TextSource, limit: Limit): TextSource {
  return {
    path: source.path,
    inputs: source.inputs,
    totalBytes: "bytes" in limit ? Math.min(limit.bytes, source.totalBytes) : source.totalBytes,
    async *pieces(inputs): AsyncGenerator<TextPiece> {
      let bytes = 0;
      let documents = 0;
      for await (const piece of source.pieces(inputs)) {
        bytes += piece.bytes;
        if (piece.last) documents++;
        const share = "bytes" in limit ? bytes / limit.bytes : documents / limit.documents;
        yield { ...piece, done: Math.min(1, Math.max(share, piece.done)) };
        if (piece.last && share >= 1) return;
      }
    },
  };
}
