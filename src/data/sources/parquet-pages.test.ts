/**
 * Parquet columns in large pages, value by value: equal to what was written for every codec, encoding and page size.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { parquetMetadata } from "hyparquet";
import { parquetWriteBuffer } from "hyparquet-writer";
import { snappyCompress } from "hyparquet-writer/src/snappy.js";
import { describe, expect, it } from "vitest";
import { columnValues, streamablePages } from "./parquet-pages.ts";
import { unsnappy } from "./snappy.ts";
import type { OpenFile } from "./stored-file.ts";
import { openTextSource } from "./text.ts";

function fileOf(bytes: Uint8Array): OpenFile {
  return {
    read: async (position, length) => {
      const part = bytes.subarray(position, position + length);
      const own = Buffer.from(new ArrayBuffer(part.length));
      own.set(part);
      return own;
    },
    close: async () => {},
  };
}

async function* inParts(bytes: Uint8Array, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield Buffer.from(bytes.subarray(at, at + size));
}

async function joined(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}

/** The values of every row group of a file's first column. */
async function valuesOf(bytes: Uint8Array): Promise<(string | undefined)[]> {
  const { row_groups: groups, schema } = parquetMetadata(bytes.slice().buffer);
  const nullable = schema[1].repetition_type !== "REQUIRED";
  const values: (string | undefined)[] = [];
  for (const { columns } of groups) {
    const column = columns[0].meta_data;
    if (column === undefined) throw new Error("no column");
    const pages = await streamablePages(fileOf(bytes), column);
    if (pages === undefined) throw new Error("not streamable");
    for await (const value of columnValues(fileOf(bytes), pages, column, nullable, "test")) {
      values.push(value && Buffer.from(value).toString());
    }
  }
  return values;
}

const random = (length: number) =>
  Array.from({ length }, (_, i) => `${(i * 7919) % 104_729} of the whale`.repeat(1 + (i % 40)));

describe("a column read value by value", () => {
  const texts: Record<string, (string | undefined)[]> = {
    "all different": random(500),
    "many alike": random(500).map((text, i) => (i % 3 === 0 ? "the same" : text)),
    "from few": random(500).map((_, i) => ["one", "two", "three", ""][(i * i) % 4]),
    "with nulls": random(500).map((text, i) => (i % 5 === 2 ? undefined : text)),
    "few with nulls": random(500).map((_, i) => [undefined, "two", "three"][(i * i) % 3]),
    none: random(20).map(() => undefined),
    one: ["Call me Ishmael."],
  };
  const compressors = { GZIP: (bytes: Uint8Array) => gzipSync(bytes) };
  for (const [name, data] of Object.entries(texts)) {
    it.each(["UNCOMPRESSED", "SNAPPY", "GZIP"] as const)(`${name}, %s, in pages of any size`, async (codec) => {
      for (const [pageSize, rowGroupSize] of [
        [1e9, 1e6],
        [2000, 1e6],
        [1e9, 130],
      ]) {
        const nullable = name !== "all different";
        const columnData = [{ name: "text", data: data as string[], type: "STRING" as const, nullable }];
        const bytes = new Uint8Array(parquetWriteBuffer({ columnData, codec, compressors, pageSize, rowGroupSize }));
        expect(await valuesOf(bytes)).toEqual(data);
      }
    });
  }

  it("that is cut off or damaged is an error", async () => {
    const column = { name: "text", data: random(500), type: "STRING" as const };
    const bytes = new Uint8Array(parquetWriteBuffer({ columnData: [column], pageSize: 1e9 }));
    const broken = bytes.slice();
    broken.fill(0xff, 2000, 2100);
    await expect(valuesOf(broken)).rejects.toThrow();
  });
});

/**
 * Written by parquet-rs 59.3 (parquet-wasm 0.8) with pages of version 1, as pyarrow and most of the hub's files have
 * them: row groups of 40 rows, each codec with a dictionary and without, one row in seven null.
 */
describe("a file of another writer, with pages of version 1", () => {
  const folder = fileURLToPath(new URL("../../../test/fixtures/parquet-v1/", import.meta.url));
  const rows = Array.from({ length: 90 }, (_, i) => {
    if (i % 7 === 3) return undefined;
    return i % 2 === 1
      ? `the same whale ${i % 4}`
      : `${(i * 7919) % 104_729} of the whale \u00e9 \u9be8 `.repeat(1 + (i % 11));
  });
  const names = readdirSync(folder);

  it("exists for six codecs", () => {
    expect(names).toHaveLength(12);
  });

  it.each(names.filter((name) => !/^(brotli|lz4raw)-/.test(name)))("%s, read value by value", async (name) => {
    expect(await valuesOf(new Uint8Array(readFileSync(join(folder, name))))).toEqual(rows);
  });

  it.each(names)("%s, read as a source", async (name) => {
    const source = await openTextSource(join(folder, name));
    const texts: string[] = [];
    for await (const { text, last } of source.pieces()) {
      expect(last).toBe(true);
      texts.push(text);
    }
    expect(texts).toEqual(rows.filter((row) => row !== undefined));
  });
});

describe("Snappy", () => {
  it("comes back however it is cut", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.constant(Uint8Array.from(Buffer.from("again and again")))),
          {
            maxLength: 40,
          },
        ),
        fc.integer({ min: 1, max: 100 }),
        async (parts, size) => {
          const bytes = Buffer.concat(parts);
          expect(await joined(unsnappy(inParts(snappy(bytes), size)))).toEqual(bytes);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("comes back from a block far larger than its window", async () => {
    const bytes = Buffer.from(random(60_000).join("\n")).subarray(0, 12_000_000);
    expect((await joined(unsnappy(inParts(snappy(bytes), 65_536)))).equals(bytes)).toBe(true);
  });

  it("that is cut off, or looks back before its beginning, is an error", async () => {
    const block = snappy(Buffer.from(random(100).join("\n")));
    await expect(joined(unsnappy(inParts(block.subarray(0, -3), 50)))).rejects.toThrow(
      /Snappy data end after \d+ of \d+ bytes/,
    );
    const backwards = Uint8Array.of(10, 0b0000_0000, 0x61, 0b0001_0110, 9, 0);
    await expect(joined(unsnappy(inParts(backwards, 50)))).rejects.toThrow("Snappy data look back 9 bytes of 1");
    await expect(joined(unsnappy(inParts(new Uint8Array(6).fill(0xff), 50)))).rejects.toThrow("have no length");
  });
});

function snappy(bytes: Uint8Array): Uint8Array {
  return snappyCompress(bytes);
}
