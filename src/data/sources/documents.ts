/**
 * The documents of one stored file as pieces, whatever its format: a text file is one document, in JSON lines and
 * parquet each record is one. The format follows from the file's name.
 */
import { LonghandError } from "../../base/errors.ts";
import { splitText } from "../pieces.ts";
import type { TextPiece } from "../text-source.ts";
import { type Compression, decompress } from "./decompress.ts";
import { jsonDocuments } from "./json-lines.ts";
import { parquetDocuments } from "./parquet.ts";
import type { Reading } from "./records.ts";
import { byteStream, type StoredFile } from "./stored-file.ts";
import { cutPieces, decodeUtf8 } from "./utf8.ts";

export interface Format {
  readonly kind: "text" | "json-lines" | "parquet";
  readonly compression: Compression;
}

// Only prose: program code and data files beside a text often hold the same text again.
const PROSE = "txt text md markdown rst adoc asciidoc org tex log".split(" ");
const JSON_LINES = "jsonl ndjson json".split(" ");

/** The format that a file's name says; undefined for a name that says none. */
export function formatOf(name: string): Format | undefined {
  const [, plain, packed] = /^(.*?)(\.gz|\.zst|\.zstd)?$/i.exec(name) as RegExpExecArray;
  const compression = packed === undefined ? "none" : packed.toLowerCase() === ".gz" ? "gzip" : "zstd";
  const ending = /\.([^./\\]+)$/.exec(plain)?.[1].toLowerCase() ?? "";
  if (ending === "parquet" && compression === "none") return { kind: "parquet", compression };
  if (JSON_LINES.includes(ending)) return { kind: "json-lines", compression };
  return PROSE.includes(ending) ? { kind: "text", compression } : undefined;
}

/** The same, and text for a name that says none. */
export function formatOrText(name: string): Format {
  return formatOf(name) ?? { kind: "text", compression: "none" };
}

/** A piece of one file, with the share of the file's bytes read so far. */
type FilePiece = Omit<TextPiece, "input" | "done"> & { readonly read: number };

/** The pieces of one file. Throws "data" or "io" naming it. */
export async function* piecesOfFile(
  stored: StoredFile,
  { kind, compression }: Format,
  reading: Reading,
): AsyncGenerator<FilePiece> {
  const { path, bytes: size } = stored;
  if (size === 0) throw new LonghandError("data", `data: ${path} is empty; give a file with some text`);
  const file = await stored.open();
  try {
    let read = 0;
    const bytes = () =>
      decompress(
        byteStream(file, size, (share) => (read = share)),
        compression,
        path,
      );
    if (kind === "text") {
      for await (const { text, last } of cutPieces(decodeUtf8(bytes(), path))) {
        yield { document: 0, text, bytes: Buffer.byteLength(text), last, read };
      }
      return;
    }
    const records =
      kind === "parquet" ? parquetDocuments(file, stored, reading) : jsonDocuments(bytes(), path, reading);
    let document = 0;
    for await (const record of records) {
      const whole = reading.transform?.(record.text) ?? record.text;
      for (let parts = splitText(whole), i = 0; i < parts.length; i++) {
        const last = i === parts.length - 1;
        const piece = { text: parts[i], bytes: Buffer.byteLength(parts[i]), last };
        yield { document, ...piece, read: kind === "parquet" ? record.read : read };
      }
      if (whole.length > 0) document++;
    }
  } finally {
    await file.close();
  }
}
