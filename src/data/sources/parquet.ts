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
  type RowGroup,
  type SchemaElement,
} from "hyparquet";
import { LonghandError, messageOf } from "../../base/errors.ts";
import { columnValues, pageAt, streamablePages } from "./parquet-pages.ts";
import { type TextOfRecord, textOfRecord } from "./record-text.ts";
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
  const unusable = new UnusableRecords(path, "row");
  const inRecord = textOfRecord(field);
  const columns = parquetSchema(metadata).children;
  if (!inRecord.plain || columns.some(({ element, children }) => element.name === field && children.length > 0)) {
    try {
      yield* recordDocuments(buffer, metadata, { path, inRecord, unusable });
    } catch (error) {
      throw damaged(path, error);
    }
    unusable.end(onWarning);
    return;
  }
  const element = requireText(metadata, field, path);
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

interface RecordReading {
  readonly path: string;
  readonly inRecord: TextOfRecord;
  readonly unusable: UnusableRecords;
}

/** The text of each row that is made of several columns, or lies inside one; rows without it are skipped. */
async function* recordDocuments(
  buffer: AsyncBuffer,
  metadata: FileMetaData,
  { path, inRecord, unusable }: RecordReading,
): AsyncGenerator<RecordText> {
  const there = parquetSchema(metadata).children.map(({ element }) => element.name);
  const columns = there.filter((name) => inRecord.fields.includes(name));
  if (columns.length === 0) throw noSuchField(inRecord.fields[0], there, path);
  let row = 0;
  let start = 0;
  for (const group of metadata.row_groups) {
    for await (const stored of rowsOf(buffer, metadata, { group, start, columns })) {
      row++;
      const record = withText(stored) as Readonly<Record<string, unknown>>;
      const own = inRecord.textOf(record);
      if ("text" in own) {
        unusable.good();
        yield { text: own.text, read: row / Number(metadata.num_rows) };
      } else {
        if (row === 1) inRecord.requireFields(record, `${path}, row 1,`);
        if (!own.absent) unusable.bad(row, own.problem);
      }
    }
    start += Number(group.num_rows);
  }
}

/** A value of parquet with text in place of bytes that are UTF-8, at any depth. */
function withText(value: unknown): unknown {
  if (value instanceof Uint8Array) {
    return isUtf8(value) ? Buffer.from(value.buffer, value.byteOffset, value.length).toString("utf8") : value;
  }
  if (Array.isArray(value)) return value.map(withText);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, own]) => [name, withText(own)]));
}

interface RowsOfGroup {
  readonly group: RowGroup;
  /** Its first row. */
  readonly start: number;
  readonly columns: readonly string[];
}

/** The rows of a group with these columns, read in ranges of about RANGE_BYTES; bytes as they are. */
async function* rowsOf(
  buffer: AsyncBuffer,
  metadata: FileMetaData,
  { group, start, columns }: RowsOfGroup,
): AsyncGenerator<Readonly<Record<string, unknown>>> {
  // Loaded only here, because it loads WebAssembly.
  const { compressors } = await import("hyparquet-compressors");
  const rows = Number(group.num_rows);
  const own = group.columns.filter(({ meta_data }) => columns.includes(meta_data?.path_in_schema[0] ?? ""));
  const size = own.reduce((sum, { meta_data }) => sum + Number(meta_data?.total_uncompressed_size ?? 0), 0);
  const step = Math.max(1, Math.floor((rows * RANGE_BYTES) / Math.max(RANGE_BYTES, size)));
  for (let from = 0; from < rows; from += step) {
    yield* await parquetReadObjects({
      ...{ file: buffer, metadata, columns: [...columns], useOffsetIndex: true, compressors },
      ...{ rowStart: start + from, rowEnd: start + Math.min(rows, from + step) },
      // By default the library replaces what is not UTF-8 by U+FFFD.
      parsers: { stringFromBytes: (value: Uint8Array | undefined) => value },
    });
  }
}

/** The bytes of each row; undefined where it is null. */
async function* columnOf(
  file: OpenFile,
  buffer: AsyncBuffer,
  metadata: FileMetaData,
  { name, repetition_type }: SchemaElement,
  path: string,
): AsyncGenerator<Uint8Array | undefined> {
  let start = 0;
  for (const group of metadata.row_groups) {
    const column = group.columns.find(({ meta_data }) => meta_data?.path_in_schema[0] === name)?.meta_data;
    const pages = column && (await hasLargePages(file, column)) ? await streamablePages(file, column) : undefined;
    if (column !== undefined && pages !== undefined) {
      yield* columnValues(file, pages, column, repetition_type !== "REQUIRED", path);
    } else {
      for await (const record of rowsOf(buffer, metadata, { group, start, columns: [name] }))
        yield record[name] instanceof Uint8Array ? record[name] : undefined;
    }
    start += Number(group.num_rows);
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
