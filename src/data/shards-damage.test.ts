import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decodeIndex, encodeIndex, HEADER_BYTES } from "./shard-format.ts";
import { openShards, writeShards } from "./shards.node.ts";
import { textInMemory } from "./text-source.ts";
import { type TextTokenizer, trainTokenizer } from "./tokenizer.node.ts";

const source = textInMemory("small", ["Call me Ishmael.", "Some years ago"]);
let folder: string;
let tokenizer: TextTokenizer;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "longhand-damage-"));
  tokenizer = await trainTokenizer({ source, vocabSize: 270, seed: 0 });
});
afterAll(() => rmSync(folder, { recursive: true }));

let made = 0;
async function prepared(): Promise<string> {
  const out = join(folder, `shards-${made++}`);
  await writeShards({ source, tokenizer, out, maxTokensPerShard: 6 });
  return out;
}

describe("damage", () => {
  it("of any single byte of any file is found", async () => {
    const out = await prepared();
    for (const name of readdirSync(out)) {
      const path = join(out, name);
      const good = readFileSync(path);
      const every = name === "tokenizer.json" ? 997 : name === "index.json" ? 5 : 1;
      for (let at = 0; at < good.length; at += every) {
        const bad = Buffer.from(good);
        bad[at] ^= 1 + (at % 255);
        writeFileSync(path, bad);
        // White space of index.json is the one thing that may change without meaning.
        const harmless = name === "index.json" && JSON.stringify(parsed(bad)) === JSON.stringify(parsed(good));
        if (harmless) continue;
        await expect(openShards(out), `${name} byte ${at}`).rejects.toMatchObject({
          code: "data",
          message: expect.stringContaining(path),
        });
      }
      writeFileSync(path, good);
    }
    (await openShards(out)).close();
  });

  it("by cutting any file off anywhere, or adding to it, is found even without verifying", async () => {
    const out = await prepared();
    for (const name of readdirSync(out)) {
      const path = join(out, name);
      const good = readFileSync(path);
      const step = name === "tokenizer.json" ? 499 : name === "index.json" ? 7 : 1;
      for (let size = 0; size < good.length - 1; size += step) {
        writeFileSync(path, good.subarray(0, size));
        await expect(openShards(out, { verify: false }), `${name} of ${size}`).rejects.toMatchObject({
          code: "data",
          message: expect.stringContaining(path),
        });
      }
      writeFileSync(path, Buffer.concat([good, Buffer.from("x")]));
      await expect(openShards(out, { verify: false })).rejects.toThrow(path);
      writeFileSync(path, good);
    }
  });

  it("of magic, version, order and absence each has its sentence", async () => {
    const out = await prepared();
    const path = join(out, "shard-00001.bin");
    const good = readFileSync(path);
    const changed = (at: number, value: number) => {
      const bad = Buffer.from(good);
      bad[at] = value;
      writeFileSync(path, bad);
    };
    changed(0, 0);
    await expect(openShards(out)).rejects.toThrow(
      `shards: ${path} is not a token shard: it does not begin with LONGHAND`,
    );
    changed(8, 2);
    await expect(openShards(out)).rejects.toThrow(
      `shards: ${path} has format version 2, and this version of Longhand reads 1; prepare the text again`,
    );
    changed(20, 1);
    await expect(openShards(out)).rejects.toThrow(
      `shards: ${path} is damaged: its header does not match its checksum; prepare the text again`,
    );
    changed(HEADER_BYTES + 5, 77);
    await expect(openShards(out)).rejects.toThrow(
      `shards: ${path} is damaged: its contents do not match its checksum; prepare the text again`,
    );
    writeFileSync(path, readFileSync(join(out, "shard-00000.bin")));
    await expect(openShards(out)).rejects.toThrow(
      `shards: ${path} is damaged: its header does not agree with index.json`,
    );
    rmSync(path);
    await expect(openShards(out)).rejects.toThrow(`shards: ${path} is damaged: the file is missing`);
    writeFileSync(path, good);
    await expect(openShards(out, { tokenizerDigest: "ab".repeat(32) })).rejects.toThrow(
      `shards: ${out} was made with another tokenizer (${tokenizer.digest.slice(0, 12)}, not abababababab)`,
    );
    rmSync(join(out, "index.json"));
    await expect(openShards(out)).rejects.toThrow(
      `shards: ${out} is not a folder of prepared text, or its preparation was interrupted: it has no index.json`,
    );
    await expect(openShards(join(folder, "none"))).rejects.toThrow("is not a folder of prepared text");
  });
});

it("an index with a right checksum but without its fields is refused", () => {
  // biome-ignore lint/suspicious/noExplicitAny: broken on purpose
  const text = encodeIndex({ tokenizerDigest: "", vocabSize: 1, tokens: -1, shards: [] } as any);
  expect(() => decodeIndex(text, "index.json")).toThrow(
    "shards: index.json: a field of the index is missing or is not a count",
  );
});

function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
}
