/**
 * Parquet: a column of text, one document a row. Read by row group and within it by ranges of rows, so that what is in
 * memory at a time is the compressed column of one row group and a few pages, however large the file. Where a
 * writer put a row group of long texts into one page, that page is the least that can be read.
 */
import { isUtf8 } from "node:buffer";
import {
  type AsyncBuffer,
  type Compressors,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
  type RowGroup,
  snappyUncompress,
} from "hyparquet";
import { parquetHeader } from "hyparquet/src/column.js";
import { compressors as quick } from "hyparquet-compressors";
import { LonghandError, messageOf } from "../../base/errors.ts";
import { Leftovers, noSuchField, type Reading, type RecordText } from "./records.ts";
import type { OpenFile, StoredFile } from "./stored-file.ts";

/** Uncompressed bytes of the column that are asked for at a time. */
const RANGE_BYTES = 16 * 1024 * 1024;
/** A page's header is far shorter, unless it has long statistics. */
const PAGE_HEADER_BYTES = 4096;

/** WebAssembly's memory never shrinks again: large pages are left to the slower Snappy that needs no copy of them. */
const compressors: Compressors = {
  ...quick,
  SNAPPY: (input, length) => {
    if (length <= 2 * RANGE_BYTES) return (quick.SNAPPY as NonNullable<Compressors["SNAPPY"]>)(input, length);
    const output = new Uint8Array(length);
    snappyUncompress(input, output);
    return output;
  },
};

/**
 * The text of each row. Throws "data" for a file that is no parquet or damaged, for a column that is not there (listing
 * those there are) or holds no text; rows that are null are passed over, rows that are no UTF-8 left out up to 1 %.
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
  requireText(metadata, field, path);
  const rows = Number(metadata.num_rows);
  const leftovers = new Leftovers(path, "row");
  for await (const { rowStart, rowEnd } of rowRanges(file, metadata, field)) {
    const records = await parquetReadObjects({
      file: buffer,
      metadata,
      columns: [field],
      rowStart,
      rowEnd,
      useOffsetIndex: true,
      compressors,
      // Bytes as they are: the library would put U+FFFD in the place of what is no UTF-8.
      parsers: { stringFromBytes: (value: Uint8Array | undefined) => value },
    }).catch((error) => {
      throw error instanceof LonghandError ? error : damaged(path, error);
    });
    for (const [i, record] of records.entries()) {
      const value: unknown = record[field];
      if (!(value instanceof Uint8Array)) continue;
      if (isUtf8(value)) {
        leftovers.good();
        const text = Buffer.from(value.buffer, value.byteOffset, value.length).toString("utf8");
        yield { text, read: (rowStart + i + 1) / rows };
      } else leftovers.bad(rowStart + i + 1, "is not UTF-8");
    }
  }
  leftovers.end(onWarning);
}

/** Ranges of rows, none across a row group, each with about RANGE_BYTES of text, or all that is in one large page. */
async function* rowRanges(
  file: OpenFile,
  metadata: FileMetaData,
  field: string,
): AsyncGenerator<{ rowStart: number; rowEnd: number }> {
  let groupStart = 0;
  for (const group of metadata.row_groups) {
    const rows = Number(group.num_rows);
    const size = Number(columnOf(group, field)?.total_uncompressed_size ?? 0);
    const large = size > 4 * RANGE_BYTES && (await firstPageBytes(file, group, field)) > size / 2;
    const step = large ? rows : Math.max(1, Math.floor((rows * RANGE_BYTES) / Math.max(RANGE_BYTES, size)));
    for (let start = 0; start < rows; start += step) {
      yield { rowStart: groupStart + start, rowEnd: groupStart + Math.min(rows, start + step) };
    }
    groupStart += rows;
  }
}

function columnOf(group: RowGroup, field: string) {
  return group.columns.find(({ meta_data }) => meta_data?.path_in_schema[0] === field)?.meta_data;
}

/** Uncompressed size of the first page of a column; of its dictionary, when it has one. */
async function firstPageBytes(file: OpenFile, group: RowGroup, field: string): Promise<number> {
  const column = columnOf(group, field);
  if (column === undefined) return 0;
  const offset = Number(column.dictionary_page_offset || column.data_page_offset);
  const head = await file.read(offset, PAGE_HEADER_BYTES);
  try {
    const view = new DataView(head.buffer, head.byteOffset, head.length);
    return Number(parquetHeader({ view, offset: 0 }).uncompressed_page_size);
  } catch {
    return 0; // reading the page itself will say what is the matter
  }
}

function requireText(metadata: FileMetaData, field: string, path: string): void {
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
    throw new LonghandError("data", `data: ${path} holds ${kind} in ${field}, not text; choose another --field`);
  }
}

function damaged(path: string, error: unknown): LonghandError {
  if (error instanceof LonghandError) return error;
  return new LonghandError(
    "data",
    `data: ${path} is no parquet file, is cut off or damaged (${messageOf(error)}); fetch it again`,
    { cause: error },
  );
}
