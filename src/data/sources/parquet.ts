/**
 * Parquet: a column of text, one document a row. hyparquet reads ranges of rows of about 16 MB; row groups whose pages
 * are larger than that are read value by value (parquet-pages.ts). So memory is bounded, however large the file.
 */
import { isUtf8 } from "node:buffer";
import {
  type AsyncBuffer,
  type ColumnMetaData,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
  type SchemaElement,
} from "hyparquet";
import { LonghandError, messageOf } from "../../base/errors.ts";
import { columnValues, pageAt, streamablePages } from "./parquet-pages.ts";
import { noSuchField, type Reading, type RecordText, UnusableRecords } from "./records.ts";
import type { OpenFile, StoredFile } from "./stored-file.ts";

/** Uncompressed bytes of the column that are read at a time. */
const RANGE_BYTES = 16 * 1024 * 1024;

/**
 * The text of each row. Throws "data" for a file that is not parquet or is damaged, for a column that is not there
 * (listing those there are) or holds no text; rows that are null are skipped, and so are up to 1 % of rows that are not
 * UTF-8.
 */
export async function* parquetDocuments(
  file: OpenFile,
  { path, bytes }: Pick<StoredFile, "path" | "bytes">,
  { field, onWarning }: Reading,
): AsyncGenerator<RecordText> {
  const buffer: AsyncBuffer = {
    byteLength: bytes,
    slice: async (start, end = bytes) => {
      const part = await file.read(start, end - start);
      if (part.length < end - start) throw new Error(`it ends at byte ${start + part.length}`);
      const { buffer, byteOffset, length } = part;
      return length === buffer.byteLength ? buffer : buffer.slice(byteOffset, byteOffset + length);
    },
  };
  const metadata = await parquetMetadataAsync(buffer).catch((error) => {
    throw damaged(path, error);
  });
  const element = requireText(metadata, field, path);
  const unusable = new UnusableRecords(path, "row");
  let row = 0;
  try {
    for await (const value of columnOf(file, buffer, metadata, element, path)) {
      row++;
      if (value === undefined) continue;
      if (isUtf8(value)) {
        unusable.good();
        const text = Buffer.from(value.buffer, value.byteOffset, value.length).toString("utf8");
        yield { text, read: row / Number(metadata.num_rows) };
      } else unusable.bad(row, "is not UTF-8");
    }
  } catch (error) {
    throw damaged(path, error);
  }
  unusable.end(onWarning);
}

/** The bytes of each row; undefined where it is null. */
async function* columnOf(
  file: OpenFile,
  buffer: AsyncBuffer,
  metadata: FileMetaData,
  { name, repetition_type }: SchemaElement,
  path: string,
): AsyncGenerator<Uint8Array | undefined> {
  // Loaded only here, because it loads WebAssembly.
  const { compressors } = await import("hyparquet-compressors");
  let start = 0;
  for (const group of metadata.row_groups) {
    const rows = Number(group.num_rows);
    const column = group.columns.find(({ meta_data }) => meta_data?.path_in_schema[0] === name)?.meta_data;
    const pages = column && (await hasLargePages(file, column)) ? await streamablePages(file, column) : undefined;
    if (column !== undefined && pages !== undefined) {
      yield* columnValues(file, pages, column, repetition_type !== "REQUIRED", path);
    } else {
      const size = Number(column?.total_uncompressed_size ?? 0);
      const step = Math.max(1, Math.floor((rows * RANGE_BYTES) / Math.max(RANGE_BYTES, size)));
      for (let from = 0; from < rows; from += step) {
        const range = { rowStart: start + from, rowEnd: start + Math.min(rows, from + step) };
        const records = await parquetReadObjects({
          file: buffer,
          metadata,
          columns: [name],
          ...range,
          useOffsetIndex: true,
          compressors,
          // Bytes as they are: by default the library replaces what is not UTF-8 by U+FFFD.
          parsers: { stringFromBytes: (value: Uint8Array | undefined) => value },
        });
        for (const record of records) yield record[name] instanceof Uint8Array ? record[name] : undefined;
      }
    }
    start += rows;
  }
}

/** Whether the first page, a dictionary or data, is too large to be read at a time. */
async function hasLargePages(file: OpenFile, column: ColumnMetaData): Promise<boolean> {
  if (Number(column.total_uncompressed_size) <= 2 * RANGE_BYTES) return false;
  const first = await pageAt(file, Number(column.dictionary_page_offset || column.data_page_offset));
  return first !== undefined && first.header.uncompressed_page_size > 2 * RANGE_BYTES;
}

function requireText(metadata: FileMetaData, field: string, path: string): SchemaElement {
  const columns = parquetSchema(metadata).children;
  const column = columns.find(({ element }) => element.name === field);
  if (column === undefined) {
    throw noSuchField(
      field,
      columns.map(({ element }) => element.name),
      path,
    );
  }
  const { type, converted_type: converted, logical_type: logical } = column.element;
  const text =
    type === "BYTE_ARRAY" &&
    (converted === undefined || converted === "UTF8") &&
    (logical?.type ?? "STRING") === "STRING";
  if (!text || column.children.length > 0) {
    const kind = column.children.length > 0 ? "nested values" : (logical?.type ?? converted ?? type);
    throw new LonghandError("data", `data: ${path} holds ${kind} in ${field}, not text; choose another \`field\``);
  }
  return column.element;
}

function damaged(path: string, error: unknown): LonghandError {
  if (error instanceof LonghandError) return error;
  return new LonghandError(
    "data",
    `data: ${path} is not a parquet file, or it is cut off or damaged (${messageOf(error)}); fetch it again`,
    { cause: error },
  );
}
