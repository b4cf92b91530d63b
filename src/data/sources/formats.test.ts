/** JSON lines and parquet, compressed or not, whole and broken. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterAll, describe, expect, it } from "vitest";
import type { Reading } from "./records.ts";
import { findLocal, openTextSource } from "./text.ts";

const folder = mkdtempSync(join(tmpdir(), "longhand-formats-"));
afterAll(() => rmSync(folder, { recursive: true }));

let made = 0;
function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, `${made++}-${name}`);
  writeFileSync(path, content);
  return path;
}

/** The documents of a path, and what it warned of. */
async function read(path: string, reading: Partial<Reading> = {}) {
  const warnings: string[] = [];
  const source = await openTextSource(path, { onWarning: (message) => warnings.push(message), ...reading });
  const texts: string[] = [];
  let text = "";
  let done = 0;
  for await (const piece of source.pieces()) {
    expect(piece.done).toBeGreaterThanOrEqual(done);
    expect(piece.bytes).toBe(Buffer.byteLength(piece.text));
    done = piece.done;
    text += piece.text;
    if (!piece.last) continue;
    texts.push(text);
    text = "";
  }
  expect(text).toBe("");
  expect(done).toBeCloseTo(1, 1);
  return { texts, warnings };
}

const documents = ["Call me Ishmael.", "a\n\n字 😀", "x".repeat(200_000), "The End\u0000"];
const lines = documents.map((text, i) => JSON.stringify({ id: i, text })).join("\n");
const parquet = (texts: unknown[], options = {}) =>
  new Uint8Array(
    parquetWriteBuffer({
      columnData: [
        { name: "id", data: texts.map((_, i) => i), type: "INT32" },
        { name: "text", data: texts as string[], type: "STRING" },
      ],
      ...options,
    }),
  );
const zstd = readFileSync(new URL("../../../test/fixtures/lines.jsonl.zst", import.meta.url));

describe("a file of records gives a document each", () => {
  it.each([
    ["lines.jsonl", lines],
    ["feed.ndjson", `\ufeff${lines}\r\n\r\n`],
    ["lines.jsonl.gz", gzipSync(lines)],
    ["members.json.gz", Buffer.concat([gzipSync(`${lines.slice(0, 50)}`), gzipSync(lines.slice(50))])],
    ["rows.parquet", parquet(documents)],
    ["plain.parquet", parquet(documents, { codec: "UNCOMPRESSED", rowGroupSize: 2 })],
    ["groups.parquet", parquet(documents, { rowGroupSize: 1, pageSize: 1000 })],
  ])("%s", async (name, content) => {
    expect(await read(file(name, content))).toEqual({ texts: documents, warnings: [] });
  });

  it("zstd, of two frames", async () => {
    const { texts } = await read(file("lines.jsonl.zst", Buffer.concat([zstd, zstd])));
    expect(texts).toEqual([...documents.slice(0, 3), ...documents.slice(0, 3)]);
  });

  it("large pages are read by ranges of rows, and columns by their names", async () => {
    const many = Array.from({ length: 300 }, (_, i) => `${i} ${"of the whale ".repeat(20_000)}`);
    const path = file("many.parquet", parquet(many, { rowGroupSize: 150 }));
    expect((await read(path)).texts.map((text) => text.slice(0, 4))).toEqual(many.map((text) => text.slice(0, 4)));
    const other = new Uint8Array(
      parquetWriteBuffer({ columnData: [{ name: "body", data: ["a", "b"], type: "STRING" }] }),
    );
    expect((await read(file("other.parquet", other), { field: "body" })).texts).toEqual(["a", "b"]);
  });

  it("a compressed text is one document", async () => {
    expect((await read(file("book.txt.gz", gzipSync("Call me".repeat(50_000))))).texts).toEqual([
      "Call me".repeat(50_000),
    ]);
  });

  describe("and its text is", () => {
    const records = [
      { title: "One", year: 1851, meta: { body: "Call me", tags: ["a", "b"] }, "a.b": "whole" },
      { title: "Two", year: 1852, meta: { body: "Some years", tags: ["c"] }, "a.b": "names" },
    ];
    const nested = records.map((record) => JSON.stringify(record)).join("\n");
    it.each([
      ["meta.body", ["Call me", "Some years"]],
      ["a.b", ["whole", "names"]],
      ["meta.tags", ["a\nb", "c"]],
      ["{title}\\n\\n{ meta.body }", ["One\n\nCall me", "Two\n\nSome years"]],
      ["{{{year}}}\\t\\\\{title}", ["{1851}\t\\One", "{1852}\t\\Two"]],
    ])("of %s", async (field, texts) => {
      expect((await read(file("nested.jsonl", nested), { field })).texts).toEqual(texts);
    });

    it("of several columns, and of columns with lists and values inside", async () => {
      const path = file("rows.parquet", parquet(["a", null, "b"]));
      expect((await read(path, { field: "{id}: {text}" })).texts).toEqual(["0: a", "2: b"]);
      const data = records.map(({ meta }) => meta);
      const bytes = parquetWriteBuffer({
        columnData: [{ name: "meta", data }],
        schema: [
          { name: "root", num_children: 1 },
          { name: "meta", num_children: 2, repetition_type: "OPTIONAL" },
          { name: "body", type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "OPTIONAL" },
          { name: "tags", num_children: 1, converted_type: "LIST", repetition_type: "OPTIONAL" },
          { name: "list", num_children: 1, repetition_type: "REPEATED" },
          { name: "element", type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "OPTIONAL" },
        ],
      });
      const inside = file("inside.parquet", new Uint8Array(bytes));
      expect((await read(inside, { field: "meta.body" })).texts).toEqual(["Call me", "Some years"]);
      expect((await read(inside, { field: "meta.tags" })).texts).toEqual(["a\nb", "c"]);
      await expect(read(inside, { field: "meta.bodi" })).rejects.toThrow(
        "inside.parquet, row 1, has no field meta.bodi (did you mean meta.body?); it has meta.body, meta.tags",
      );
    });

    it("nothing where a field is missing or no text, or the template is none", async () => {
      const path = file("nested.jsonl", nested);
      await expect(read(path, { field: "meta.bodi" })).rejects.toThrow(
        "has no field meta.bodi (did you mean meta.body?); it has title, year, meta.body, meta.tags, a.b",
      );
      await expect(read(path, { field: "{title} {meta}" })).rejects.toThrow("holds an object in meta, not text");
      for (const field of ["{title", "title}", "{}", "{{title}}"])
        await expect(read(path, { field })).rejects.toMatchObject({ code: "usage" });
    });
  });

  it("empty and null texts are passed over", async () => {
    expect((await read(file("some.jsonl", '{"text":""}\n{"text":"a"}'))).texts).toEqual(["a"]);
    expect((await read(file("some.parquet", parquet(["", null, "a"])))).texts).toEqual(["a"]);
  });
});

describe("a file that cannot be used is one sentence", () => {
  const good = gzipSync(lines);
  const whole = parquet(documents);
  const flipped = Buffer.from(good);
  flipped[good.length >> 1] ^= 0xff;
  it.each<[string, string | Uint8Array, RegExp]>([
    ["empty.jsonl.gz", "", /empty.jsonl.gz is empty; give a file with some text$/],
    ["empty.parquet", "", /empty.parquet is empty; give a file/],
    ["cut.jsonl.gz", good.subarray(0, -20), /cut.jsonl.gz is cut off: its gzip data has no end; fetch it again$/],
    ["flipped.jsonl.gz", flipped, /flipped.jsonl.gz is not a gzip file or is damaged/],
    ["other.jsonl.gz", lines, /other.jsonl.gz is not a gzip file or is damaged \(incorrect header check\)$/],
    ["cut.jsonl.zst", zstd.subarray(0, -9), /cut.jsonl.zst is cut off: its zstd data has no end; fetch it again$/],
    ["other.jsonl.zst", lines, /other.jsonl.zst is not a zstd file or is damaged/],
    ["cut.parquet", whole.subarray(0, -20), /cut.parquet is not a parquet file, or it is cut off or damaged \(.*PAR1/],
    ["short.parquet", "PAR1", /short.parquet is not a parquet file, or it is cut off/],
    [
      "text.jsonl",
      "Call me Ishmael.\nSome years ago",
      /text.jsonl: line 1 is not JSON; 2 of 2 lines cannot be used, and at most 1 % are left out$/,
    ],
    ["list.jsonl", "[1]", /list.jsonl: line 1 is not a JSON object;/],
    [
      "field.jsonl",
      '{"txet":"a","id":1}',
      /field.jsonl, line 1, has no field text \(did you mean txet\?\); it has txet, id: choose one with `field`$/,
    ],
    ["type.jsonl", '{"text":7}', /type.jsonl, line 1, holds a number in text, not text; choose another `field`$/],
    ["latin1.jsonl", Buffer.from('{"text":"na\xefve"}', "latin1"), /latin1.jsonl: line 1 is not UTF-8;/],
    ["half.jsonl", '{"text":"\\ud800"}', /half.jsonl: line 1 holds half of a surrogate pair;/],
  ])("%s", async (name, content, sentence) => {
    await expect(read(file(name, content))).rejects.toMatchObject({
      code: "data",
      message: expect.stringMatching(sentence),
    });
  });

  it("a column that is not there, or is no text", async () => {
    const path = file("column.parquet", whole);
    await expect(read(path, { field: "txt" })).rejects.toThrow(
      `data: ${path} has no field txt (did you mean text?); it has id, text: choose one with \`field\``,
    );
    await expect(read(path, { field: "id" })).rejects.toThrow(`data: ${path} holds INT32 in id, not text;`);
  });

  it("rows that are no UTF-8 name the row", async () => {
    const bytes = [Buffer.from("a"), Buffer.from("na\xefve", "latin1")];
    const column = { name: "text", data: bytes, type: "BYTE_ARRAY" as const };
    const path = file("bytes.parquet", new Uint8Array(parquetWriteBuffer({ columnData: [column] })));
    await expect(read(path)).rejects.toThrow("row 2 is not UTF-8; 1 of 2 rows cannot be used");
  });

  it("up to a hundredth of the lines is left out, and told", async () => {
    const many = Array.from({ length: 200 }, (_, i) => (i === 6 || i === 90 ? "{broken" : `{"text":"${i}"}`));
    const path = file("mostly.jsonl", many.join("\n"));
    const { texts, warnings } = await read(path);
    expect(texts).toHaveLength(198);
    expect(warnings).toEqual([`${path}: 2 of 200 lines left out; line 7 is not JSON`]);
    many[100] = '{"text":null}';
    await expect(read(file("less.jsonl", many.join("\n")))).rejects.toThrow(
      "line 7 is not JSON; 3 of 200 lines cannot be used",
    );
  });

  it("of many broken lines is told long before its end", async () => {
    let asked = 0;
    const path = file("broken.jsonl", `{"text":"a"}\n${"{broken\n".repeat(500_000)}`);
    const source = await openTextSource(path);
    const reading = (async () => {
      for await (const _ of source.pieces()) asked++;
    })();
    await expect(reading).rejects.toThrow("line 2 is not JSON; 999 of 1000 lines cannot be used");
    expect(asked).toBe(1);
  });
});

describe("files are found", () => {
  const place = join(folder, "places");
  const put = (name: string, content: string | Uint8Array = "text") => {
    mkdirSync(join(place, name, ".."), { recursive: true });
    writeFileSync(join(place, name), content);
  };
  for (const name of ["train/10.txt", "train/9.txt", "validation/1.txt", "test/2.txt", "metadata.csv"])
    put(`books/${name}`);
  for (const name of ["train-0.parquet", "train-1.parquet", "dev-0.parquet", "README.md"]) put(`rows/${name}`);
  for (const name of ["the train.txt", "the test.txt"]) put(`chapters/${name}`);
  for (const name of ["a.txt", "b.jsonl"]) put(`both/${name}`);

  const names = async (path: string) =>
    Object.fromEntries(
      Object.entries(await findLocal(path)).map(([split, files]) => [
        split,
        files.map((found) => found.file.path.slice(place.length + 1)),
      ]),
    );

  it("by folders and names of splits, where there are", async () => {
    expect(await names(join(place, "books"))).toEqual({
      train: ["books/train/9.txt", "books/train/10.txt"],
      validation: ["books/validation/1.txt"],
      test: ["books/test/2.txt"],
    });
    expect(await names(join(place, "rows"))).toEqual({
      train: ["rows/train-0.parquet", "rows/train-1.parquet"],
      validation: ["rows/dev-0.parquet"],
    });
    expect(await names(join(place, "chapters"))).toEqual({
      train: ["chapters/the test.txt", "chapters/the train.txt"],
    });
  });

  it("by a pattern", async () => {
    expect(await names(join(place, "books/train/*.txt"))).toEqual({
      train: ["books/train/9.txt", "books/train/10.txt"],
    });
    expect(await names(join(place, "{rows,both}/*.{parquet,jsonl}"))).toEqual({
      train: ["both/b.jsonl", "rows/dev-0.parquet", "rows/train-0.parquet", "rows/train-1.parquet"],
    });
    await expect(findLocal(join(place, "*.csv"))).rejects.toThrow(`data: no file matches ${join(place, "*.csv")}`);
  });

  it("unless texts and data files are mixed", async () => {
    await expect(findLocal(join(place, "both"))).rejects.toThrow(
      `data: the folder ${join(place, "both")} holds both texts (a.txt) and data files (b.jsonl); give a pattern such as`,
    );
  });
});
