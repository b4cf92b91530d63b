/** A source cut off after so many bytes of text or documents, for a trial of a large corpus. */
import { LonghandError } from "../base/errors.ts";
import { piecesFrom, type TextPiece, type TextPosition, type TextSource } from "./text-source.ts";

export type Limit = { readonly bytes: number } | { readonly documents: number };

const UNITS: Readonly<Record<string, number>> = { b: 1, kb: 1e3, mb: 1e6, gb: 1e9, tb: 1e12 };

/** Reads "500MB" or "10000docs"; throws "usage". */
export function parseLimit(text: string): Limit {
  const [, number = "", unit = ""] = /^\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*$/.exec(text) ?? [];
  const factor = UNITS[unit.toLowerCase()];
  const count = /^doc(ument)?s?$/i.test(unit) ? Number(number) : Math.round(Number(number) * (factor ?? Number.NaN));
  if (!Number.isSafeInteger(count) || count < 1) {
    throw new LonghandError("usage", `\`limit\` ${text}: expected a size such as 500MB or a count such as 10000docs`);
  }
  return factor === undefined ? { documents: count } : { bytes: count };
}

/** The documents from the beginning up to the one in which the limit is reached, that one included. */
export function limited(source: TextSource, limit: Limit): TextSource {
  return {
    path: source.path,
    inputs: source.inputs,
    totalBytes: "bytes" in limit ? Math.min(limit.bytes, source.totalBytes) : source.totalBytes,
    pieces: (inputs) => cut(source.pieces(inputs), limit, { bytes: 0, documents: 0 }),
    piecesFrom: (position) => cut(piecesFrom(source, position), limit, position),
  };
}

/** Pieces until the limit is reached, of which `before` was taken already. */
async function* cut(
  pieces: AsyncIterable<TextPiece>,
  limit: Limit,
  before: Pick<TextPosition, "bytes" | "documents">,
): AsyncGenerator<TextPiece> {
  let { bytes, documents } = before;
  const share = () => ("bytes" in limit ? bytes / limit.bytes : documents / limit.documents);
  if (share() >= 1) return;
  for await (const piece of pieces) {
    bytes += piece.bytes;
    if (piece.last) documents++;
    yield { ...piece, done: Math.min(1, Math.max(share(), piece.done)) };
    if (piece.last && share() >= 1) return;
  }
}
