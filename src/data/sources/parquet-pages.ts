/**
 * One column of a parquet row group whose pages are too large to hold in memory: values one by one from streamed pages.
 * Some writers put a thousand long texts into one page, and into its dictionary, before they check its size: hundreds
 * of megabytes. hyparquet 1.31 decompresses and decodes a page as a whole and offers nothing below that: 2.0 GB for
 * such a file, here 0.35 GB (decision 0016). Only what such columns use is read: byte arrays, plain or by dictionary,
 * not nested. The parsers of page headers and of run-length encodings are hyparquet's own, from modules that its
 * `exports` publish.
 */
import type { ColumnMetaData, PageHeader } from "hyparquet";
import { parquetHeader } from "hyparquet/src/column.js";
import { readRleBitPackedHybrid } from "hyparquet/src/encoding.js";
import { type Compression, decompress } from "./decompress.ts";
import { unsnappy } from "./snappy.ts";
import type { OpenFile } from "./stored-file.ts";

/** A header is far shorter, unless it has long statistics. */
const HEADER_BYTES = 65_536;
const READ_BYTES = 1024 * 1024;
const DICTIONARY = ["PLAIN_DICTIONARY", "RLE_DICTIONARY"];
const CODECS = ["UNCOMPRESSED", "SNAPPY", "GZIP", "ZSTD"];

interface Page {
  readonly header: PageHeader;
  /** Of the page's data in the file. */
  readonly position: number;
}

/** The page at a position; undefined where no page header can be read there. */
export async function pageAt(file: OpenFile, position: number): Promise<Page | undefined> {
  const head = await file.read(position, HEADER_BYTES);
  const reader = { view: new DataView(head.buffer, head.byteOffset, head.length), offset: 0 };
  try {
    const header = parquetHeader(reader);
    return { header, position: position + reader.offset };
  } catch {
    return undefined;
  }
}

/** The pages of a column when they can be streamed, else undefined. */
export async function streamablePages(file: OpenFile, column: ColumnMetaData): Promise<Page[] | undefined> {
  if (!CODECS.includes(column.codec)) return undefined;
  const pages: Page[] = [];
  const start = Number(column.dictionary_page_offset || column.data_page_offset);
  const end = start + Number(column.total_compressed_size);
  for (let at = start; at < end; ) {
    const page = await pageAt(file, at);
    if (page === undefined || !isStreamable(page.header)) return undefined;
    pages.push(page);
    at = page.position + page.header.compressed_page_size;
  }
  return pages;
}

function isStreamable({ type, data_page_header: v1, data_page_header_v2: v2 }: PageHeader): boolean {
  if (type === "DICTIONARY_PAGE") return true;
  const encoding = v1?.encoding ?? v2?.encoding ?? "";
  return (type === "DATA_PAGE" || type === "DATA_PAGE_V2") && (encoding === "PLAIN" || DICTIONARY.includes(encoding));
}

/**
 * The value of each row; undefined where it is null. Dictionary entries are read in order as rows need them, and kept
 * only while a later row needs them again. Throws an Error for what is damaged.
 */
export async function* columnValues(
  file: OpenFile,
  pages: readonly Page[],
  { codec }: ColumnMetaData,
  nullable: boolean,
  path: string,
): AsyncGenerator<Uint8Array | undefined> {
  const bytesOf = (page: Page, skip = 0, compressed = true) =>
    new Bytes(inflate(file, page, skip, compressed ? codec : "UNCOMPRESSED", path));
  const isData = ({ header }: Page) => header.type !== "DICTIONARY_PAGE";
  const encodingOf = ({ header }: Page) =>
    header.data_page_header?.encoding ?? header.data_page_header_v2?.encoding ?? "";
  const indices = new Map<Page, Int32Array>();
  for (const page of pages.filter((page) => isData(page) && DICTIONARY.includes(encodingOf(page)))) {
    const { bytes, present, rows } = await openData(file, page, bytesOf, nullable);
    indices.set(page, spread(await readIndices(bytes, present ?? rows), present, rows));
  }
  const first = pages.find((page) => !isData(page));
  const dictionary = first && new Dictionary(bytesOf(first), [...indices.values()]);
  for (const page of pages.filter(isData)) {
    const known = indices.get(page);
    if (known !== undefined) {
      if (dictionary === undefined) throw new Error("a column refers to a dictionary, but has none");
      for (const index of known) yield index < 0 ? undefined : await dictionary.value(index);
      continue;
    }
    const { bytes, present, rows } = await openData(file, page, bytesOf, nullable);
    for (let row = 0; row < rows; row++) yield present?.[row] === 0 ? undefined : await bytes.value();
  }
}

type Open = (page: Page, skip?: number, compressed?: boolean) => Bytes;

/** The values of a data page, and which of its rows have one (1) or are null (0); undefined: all have one. */
async function openData(file: OpenFile, page: Page, open: Open, nullable: boolean) {
  const { data_page_header: v1, data_page_header_v2: v2 } = page.header;
  if (v2 !== undefined) {
    const levels = v2.repetition_levels_byte_length + v2.definition_levels_byte_length;
    const head = await file.read(page.position + v2.repetition_levels_byte_length, v2.definition_levels_byte_length);
    const present = nullable && head.length > 0 ? bits(head, v2.num_values) : undefined;
    return { bytes: open(page, levels, v2.is_compressed !== false), present, rows: v2.num_values };
  }
  const rows = v1?.num_values ?? 0;
  const bytes = open(page);
  const present = nullable ? bits(await bytes.take((await bytes.take(4)).readUInt32LE()), rows) : undefined;
  return { bytes, present, rows };
}

function bits(bytes: Buffer, count: number): Uint8Array {
  const out = new Uint8Array(count);
  const reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length), offset: 0 };
  readRleBitPackedHybrid(reader, 1, out, bytes.length);
  return out;
}

/** Dictionary indices of the rows that have a value: their number, or those marked with 1. */
async function readIndices(bytes: Bytes, rows: Uint8Array | number): Promise<Int32Array> {
  const count = typeof rows === "number" ? rows : rows.reduce((sum, bit) => sum + bit, 0);
  const encoded = await bytes.rest();
  const out = new Int32Array(count);
  const width = encoded[0] ?? 0;
  if (width === 0 || count === 0) return out;
  const reader = { view: new DataView(encoded.buffer, encoded.byteOffset + 1, encoded.length - 1), offset: 0 };
  readRleBitPackedHybrid(reader, width, out, encoded.length - 1);
  return out;
}

/** An index for each row, -1 for null. */
function spread(indices: Int32Array, present: Uint8Array | undefined, rows: number): Int32Array {
  if (present === undefined) return indices;
  let next = 0;
  return Int32Array.from({ length: rows }, (_, row) => (present[row] === 1 ? indices[next++] : -1));
}

/** The values of a dictionary page, read as far as they are asked for. */
class Dictionary {
  readonly #bytes: Bytes;
  readonly #wanted = new Map<number, number>();
  readonly #kept = new Map<number, Uint8Array>();
  #next = 0;

  constructor(bytes: Bytes, indices: readonly Int32Array[]) {
    this.#bytes = bytes;
    for (const part of indices) {
      for (const index of part) if (index >= 0) this.#wanted.set(index, (this.#wanted.get(index) ?? 0) + 1);
    }
  }

  async value(index: number): Promise<Uint8Array> {
    for (; this.#next <= index; this.#next++) {
      const value = await this.#bytes.value();
      if (this.#wanted.has(this.#next)) this.#kept.set(this.#next, value);
    }
    const value = this.#kept.get(index);
    if (value === undefined) throw new Error(`a column refers to entry ${index} of its dictionary, which is not there`);
    const left = (this.#wanted.get(index) ?? 1) - 1;
    this.#wanted.set(index, left);
    if (left === 0) this.#kept.delete(index);
    return value;
  }
}

/** A stream of bytes, read in the amounts that are asked for. */
class Bytes {
  readonly #chunks: AsyncIterator<Buffer>;
  #parts: Buffer[] = [];
  #held = 0;

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  async take(count: number): Promise<Buffer> {
    while (this.#held < count) {
      if (!(await this.#more())) throw new Error(`a page ends ${count - this.#held} bytes early`);
    }
    const all = this.#parts.length === 1 ? this.#parts[0] : Buffer.concat(this.#parts);
    this.#parts = [all.subarray(count)];
    this.#held -= count;
    return all.subarray(0, count);
  }

  /** A byte array as PLAIN writes it: its length, then itself. */
  async value(): Promise<Buffer> {
    return this.take((await this.take(4)).readUInt32LE());
  }

  async rest(): Promise<Buffer> {
    while (await this.#more());
    return this.take(this.#held);
  }

  async #more(): Promise<boolean> {
    const { value, done } = await this.#chunks.next();
    if (done === true) return false;
    this.#parts.push(value);
    this.#held += value.length;
    return true;
  }
}

/** The data of a page from `skip` on, decompressed. */
function inflate(file: OpenFile, page: Page, skip: number, codec: string, path: string): AsyncIterable<Buffer> {
  const stored = readRange(file, page.position + skip, page.position + page.header.compressed_page_size);
  if (codec === "SNAPPY") return unsnappy(stored);
  const compression: Compression = codec === "GZIP" ? "gzip" : codec === "ZSTD" ? "zstd" : "none";
  return decompress(stored, compression, path);
}

async function* readRange(file: OpenFile, start: number, end: number): AsyncGenerator<Buffer> {
  for (let at = start; at < end; ) {
    const bytes = await file.read(at, Math.min(READ_BYTES, end - at));
    if (bytes.length === 0) throw new Error(`it ends at byte ${at}`);
    yield bytes;
    at += bytes.length;
  }
}
