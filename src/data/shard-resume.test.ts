import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { treeOf } from "../../test/cli/command.ts";
import { chapters, parquet } from "../../test/support/hub/corpora.ts";
import { limited } from "./limit.ts";
import { readJournal } from "./shard-journal.node.ts";
import { canResumeShards, type ShardRequest, type ShardsBefore, writeShards } from "./shards.node.ts";
import { openTextSource } from "./sources/text.ts";
import { piecesFrom, type TextPiece, type TextSource, textInMemory } from "./text-source.ts";
import { loadTokenizer, type TextTokenizer, trainTokenizer } from "./tokenizer.node.ts";

const texts = chapters(1, 60);
let folder: string;
let tokenizer: TextTokenizer;
let source: TextSource;
let whole: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "longhand-resume-"));
  const some = textInMemory("some", texts.slice(0, 3));
  tokenizer = await trainTokenizer({ source: some, vocabSize: 400, seed: 0 });
  source = textInMemory("chapters", texts);
  whole = await prepared();
});
afterAll(() => rmSync(folder, { recursive: true }));

let made = 0;
const place = () => join(folder, `shards-${made++}`);
const small = { maxTokensPerShard: 30_000, journalEveryMs: 0, threads: 1 };
type Request = Partial<ShardRequest>;

async function prepared(more: Request = {}): Promise<string> {
  const out = place();
  await writeShards({ source, tokenizer, out, ...small, ...more });
  return out;
}

/** Stops after so many batches; whether it was stopped, and what the attempt kept of those before. */
async function attempt(out: string, batches: number, more: Request = {}) {
  const stop = new AbortController();
  let kept: ShardsBefore | undefined;
  let seen = 0;
  const onProgress = () => {
    if (++seen === batches) stop.abort(new Error("stopped"));
  };
  const onResume = (before: ShardsBefore) => {
    kept = before;
  };
  const request = { source, tokenizer, out, ...small, onProgress, onResume, signal: stop.signal, ...more };
  const finished = await writeShards(request).then(
    () => true,
    (error) => {
      expect(error.message).toBe("stopped");
      return false;
    },
  );
  return { finished, kept };
}

/** A folder in which a preparation was stopped after so many batches. */
async function stopped(batches = 2): Promise<string> {
  const out = place();
  expect(await attempt(out, batches)).toEqual({ finished: false, kept: undefined });
  return out;
}

describe("a preparation that is stopped again and again", { timeout: 120_000 }, () => {
  it("ends with the same bytes, by any number of threads", async () => {
    const out = place();
    let documents = 0;
    for (let threads = 1; ; threads = 3 - threads) {
      const { finished, kept } = await attempt(out, 1, { threads });
      expect(kept?.documents ?? 0).toBe(documents);
      if (finished) break;
      documents = readJournal(out)?.documents as number;
      expect(documents).toBeGreaterThan(kept?.documents ?? 0);
    }
    expect(documents).toBe(texts.length);
    expect(treeOf(out)).toEqual(treeOf(whole));
    expect(treeOf(await prepared({ threads: 3 }))).toEqual(treeOf(whole));
  });

  const formats: [string, (path: string, texts: string[]) => void][] = [
    [".txt", (path, texts) => writeFileSync(path, texts.join("\n"))],
    [
      ".jsonl.gz",
      (path, texts) => writeFileSync(path, gzipSync(texts.map((text) => JSON.stringify({ text })).join("\n"))),
    ],
    [".parquet", (path, texts) => writeFileSync(path, parquet({ text: texts }))],
  ];
  it.each(formats)("ends with the same bytes of several files %s", async (ending, write) => {
    const dir = place();
    mkdirSync(dir);
    for (let i = 0; i < 3; i++) write(join(dir, `part-${i}${ending}`), texts.slice(20 * i, 20 * i + 20));
    const files = await openTextSource(dir);
    for (const some of ending === ".jsonl.gz" ? [files, limited(files, { bytes: 400_000 })] : [files]) {
      const expected = await prepared({ source: some });
      const out = place();
      let attempts = 0;
      while (!(await attempt(out, 1, { source: some })).finished) attempts++;
      expect(attempts).toBeGreaterThan(1);
      expect(treeOf(out)).toEqual(treeOf(expected));
    }
  });

  it("goes on within a limit of documents", async () => {
    const some = limited(source, { documents: 50 });
    const out = place();
    await attempt(out, 2, { source: some });
    expect((await attempt(out, 99, { source: some })).kept?.documents).toBeGreaterThan(5);
    expect(treeOf(out)).toEqual(treeOf(await prepared({ source: some })));
  });

  it("loses no document when the source fails", async () => {
    const broken: TextSource = {
      ...source,
      async *pieces(inputs) {
        for await (const piece of source.pieces(inputs)) {
          if (piece.input === 40) throw new Error("no such file");
          yield piece;
        }
      },
    };
    const out = place();
    await expect(writeShards({ source: broken, tokenizer, out, ...small })).rejects.toThrow("no such file");
    expect((await attempt(out, 99)).kept?.documents).toBeGreaterThan(10);
    expect(treeOf(out)).toEqual(treeOf(whole));
  });
});

describe("a process that was killed", { timeout: 120_000 }, () => {
  it("after more was written than the journal knows leaves no trace of it", async () => {
    const out = await stopped();
    const journal = readJournal(out);
    const open = `shard-${String(journal?.shards.length).padStart(5, "0")}.bin`;
    const bytes = readFileSync(join(out, `${open}.tmp`));
    const variants: [string, (dir: string) => void][] = [
      ["more tokens", (dir) => writeFileSync(join(dir, `${open}.tmp`), Buffer.concat([bytes, Buffer.alloc(999, 7)]))],
      [
        "the shard finished and another begun",
        (dir) => {
          writeFileSync(
            join(dir, open),
            Buffer.concat([Buffer.alloc(144, 1), bytes.subarray(144), Buffer.alloc(99, 7)]),
          );
          rmSync(join(dir, `${open}.tmp`));
          writeFileSync(join(dir, "shard-00077.bin"), "later");
          writeFileSync(join(dir, "shard-00078.bin.tmp"), "later still");
        },
      ],
      ["a journal half written", (dir) => writeFileSync(join(dir, "progress.json.tmp"), "{")],
      ["no tokenizer", (dir) => rmSync(join(dir, "tokenizer.json"))],
      ["an index half written", (dir) => writeFileSync(join(dir, "index.json.tmp"), "{")],
    ];
    for (const [name, change] of variants) {
      const copy = place();
      cpSync(out, copy, { recursive: true });
      change(copy);
      expect((await attempt(copy, 99)).kept?.documents, name).toBe(journal?.documents);
      expect(treeOf(copy), name).toEqual(treeOf(whole));
    }
  });

  it("before any document was done begins again, with any text and tokenizer", async () => {
    const out = place();
    const failing: TextSource = {
      ...source,
      pieces: async function* (): AsyncGenerator<TextPiece> {
        yield* [];
        throw new Error("at once");
      },
    };
    await expect(writeShards({ source: failing, tokenizer, out, ...small })).rejects.toThrow("at once");
    expect(readJournal(out)).toMatchObject({ documents: 0, open: null, shards: [] });
    const other = textInMemory("other", ["Call me Ishmael."]);
    const its = await trainTokenizer({ source: other, vocabSize: 270, seed: 0 });
    await writeShards({ source: other, tokenizer: its, out });
    expect((await loadTokenizer(join(out, "tokenizer.json"))).digest).toBe(its.digest);
    expect(readdirSync(out).sort()).toEqual(["index.json", "shard-00000.bin", "tokenizer.json"]);
  });
});

describe("going on is refused", { timeout: 120_000 }, () => {
  it.each<[string, () => Request, RegExp]>([
    ["other options", () => ({ origin: { data: "x", limit: "1MB" } }), /, and it was of other text or options; choose/],
    ["other shards", () => ({ maxTokensPerShard: 5 }), /, and its shards are of 30000 tokens, not 5; choose another/],
    [
      "a file that grew",
      () => ({ source: { ...source, inputs: source.inputs.map((input) => ({ ...input, bytes: input.bytes + 1 })) } }),
      /chapters\[\d+\] has changed since: \d+ bytes then, \d+ now; choose another folder, or remove this one/,
    ],
    [
      "a file before that grew",
      () => ({ source: { ...source, inputs: source.inputs.map((it, i) => (i === 0 ? { ...it, bytes: 1 } : it)) } }),
      /, and files of its text have changed since; choose/,
    ],
    ["fewer files", () => ({ source: { ...source, inputs: source.inputs.slice(0, 2) } }), /have changed since/],
  ])("with %s, and nothing is changed", async (_, more, sentence) => {
    const out = await stopped();
    const before = treeOf(out);
    const request = { source, tokenizer, out, ...small, ...more() };
    const error = { code: "usage", message: expect.stringMatching(sentence) };
    await expect(writeShards(request)).rejects.toMatchObject(error);
    expect(() => canResumeShards(request)).toThrow(sentence);
    expect(treeOf(out)).toEqual(before);
    expect(canResumeShards({ source, out, ...small })).toBe(true);
  });

  it("with another tokenizer", async () => {
    const other = await trainTokenizer({ source: textInMemory("x", ["abc"]), vocabSize: 260, seed: 0 });
    const request = { source, tokenizer: other, out: await stopped(), ...small };
    await expect(writeShards(request)).rejects.toThrow("and its tokenizer was another; choose");
  });

  it("but not by files that were not reached", async () => {
    const later = texts.map((text, i) => (i === 58 ? "mended" : text));
    const out = await stopped();
    await writeShards({ source: textInMemory("chapters", later), tokenizer, out, ...small });
    expect(treeOf(out)).toEqual(treeOf(await prepared({ source: textInMemory("chapters", later) })));
  });

  it("with any damage, naming the file", async () => {
    const out = await stopped();
    const path = (name: string) => join(out, name);
    const text = readFileSync(path("progress.json"), "utf8");
    const open = readdirSync(out).find((name) => name.endsWith(".bin.tmp")) as string;
    const go = () => writeShards({ source, tokenizer, out, ...small });
    const changes: [string, string, RegExp][] = [
      [
        "progress.json",
        text.slice(0, -9),
        /progress.json: it is not valid JSON .*; remove .* to prepare the text from the beginning$/,
      ],
      [
        "progress.json",
        text.replace(/"documents": \d/, '"documents": 9'),
        /progress.json: it does not match its own checksum/,
      ],
      [
        "progress.json",
        text.replace('"version": 1', '"version": 2'),
        /has version 2, and this version of Longhand reads 1/,
      ],
      ["progress.json", "[]", /progress.json: it must hold a JSON object/],
      ["progress.json", "{}", /progress.json: it is not the journal of a preparation/],
    ];
    for (const [name, content, sentence] of changes) {
      writeFileSync(path(name), content);
      await expect(go()).rejects.toMatchObject({ code: "data", message: expect.stringMatching(sentence) });
    }
    writeFileSync(path("progress.json"), text);
    const bytes = readFileSync(path(open));
    bytes[200] ^= 1;
    writeFileSync(path(open), bytes);
    await expect(go()).rejects.toThrow(/bin is damaged: its contents are not what progress.json says; prepare/);
    writeFileSync(path(open), bytes.subarray(0, 200));
    await expect(go()).rejects.toThrow(/bin is damaged: it ends at byte 200/);
    rmSync(path(open));
    await expect(go()).rejects.toThrow(/bin is damaged: the file is missing/);
    renameSync(path("shard-00000.bin"), path("away"));
    await expect(go()).rejects.toThrow(/shard-00000.bin is damaged: the file is missing/);
    writeFileSync(path("shard-00000.bin"), "short");
    await expect(go()).rejects.toThrow(/shard-00000.bin is damaged: it has 5 bytes, and progress.json says \d+/);
  });
});

it("the pieces from a position are the end of all pieces", async () => {
  const all: TextPiece[] = [];
  for await (const piece of source.pieces()) all.push(piece);
  for (const at of [0, 1, 30, 58]) {
    const rest: TextPiece[] = [];
    for await (const piece of piecesFrom(source, { input: at, document: 0, bytes: 0, documents: at })) rest.push(piece);
    const plain = ({ done: _, ...piece }: TextPiece) => piece;
    expect(rest.map(plain)).toEqual(all.filter(({ input }) => input >= at).map(plain));
    expect(rest.at(-1)?.done).toBeCloseTo(1, 6);
    const after: TextPiece[] = [];
    for await (const piece of piecesFrom(source, { input: at, document: 1, bytes: 0, documents: at + 1 }))
      after.push(piece);
    expect(after.map(plain)).toEqual(all.filter(({ input }) => input > at).map(plain));
  }
});
