/** longhand prepare, data inspect, and training and evaluation straight from a corpus; the hub is one on loopback. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { textInMemory } from "../../src/data/text-source.ts";
import { loadTokenizer, openShards, trainTokenizer } from "../../src/index.ts";
import { addresses, c4, chapters, parquet, pg19, unmarked, wiki40b } from "../support/hub/corpora.ts";
import { TestHub } from "../support/hub/server.ts";
import { fail, jsonLines, type RunOptions, start, succeed, tiny, workspace } from "./command.ts";

const { folder, text } = workspace();
const small = ["--vocab", "300"];
let hub: TestHub;
let env: Record<string, string>;
const tokenizer = join(folder, "tokenizer.json");
beforeAll(async () => {
  hub = await TestHub.start();
  hub.put("google/wiki40b", wiki40b());
  hub.put("emozilla/pg19", pg19());
  hub.put("allenai/c4", c4());
  const source = textInMemory("chapters", chapters(1, 3));
  writeFileSync(tokenizer, (await trainTokenizer({ source, vocabSize: 400, seed: 1 })).json);
  env = { HF_ENDPOINT: hub.endpoint, HF_HOME: join(folder, "hf"), HF_TOKEN: "" };
});
afterAll(() => hub.stop());

const withHub = (more: RunOptions = {}): RunOptions => ({ env, cwd: folder, ...more });
const put = (name: string, content: string | Uint8Array) => {
  const path = join(folder, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, content);
  return name;
};
const words = (texts: readonly string[]) => texts.join("\n").split(/\s+/u).filter(Boolean).length;

/** The documents of a folder of shards. */
async function documentsOf(out: string): Promise<string[]> {
  const shards = await openShards(join(folder, out));
  const tokenizer = await loadTokenizer(shards.tokenizerPath);
  const documents: string[] = [];
  for (const [i, start] of shards.documentStarts.entries()) {
    const ids = new Int32Array((shards.documentStarts[i + 1] ?? shards.tokens) - start);
    shards.read(start, ids.length, ids);
    expect(ids.at(-1)).toBe(tokenizer.special.endOfText);
    documents.push(await tokenizer.decode(ids));
  }
  shards.close();
  return documents;
}

describe("a corpus of the hub", { timeout: 120_000 }, () => {
  it("is prepared split by split, inspected, and trained on", async () => {
    const { stdout } = await succeed(
      ["prepare", "--data", "hub:wiki40b/en", "--out", "wiki", ...small, "--json"],
      withHub(),
    );
    const articles = { train: chapters(1, 14).map(unmarked), validation: chapters(14, 16).map(unmarked) };
    const pinned = `hub:wiki40b@${hub.commitOf("google/wiki40b")}/en`;
    const end = jsonLines(stdout).at(-1);
    expect(end).toMatchObject({ type: "end", data: pinned, vocabSize: 300 });
    expect(end?.splits).toMatchObject([
      { split: "train", documents: 13, words: words(articles.train) },
      { split: "validation", documents: 2, words: words(articles.validation) },
    ]);
    expect(await documentsOf("wiki/train")).toEqual(articles.train);
    expect(await documentsOf("wiki/validation")).toEqual(articles.validation);
    expect(readdirSync(join(folder, "wiki")).sort()).toEqual(["tokenizer.json", "train", "validation"]);

    const inspections = jsonLines((await succeed(["data", "inspect", "wiki", "--json"], withHub())).stdout);
    expect(inspections).toMatchObject([
      { split: "train", documents: 13, duplicates: 0, origin: { data: pinned, split: "train" } },
      { split: "validation", documents: 2, duplicateShare: 0 },
    ]);
    const { lengths, samples, tokens } = inspections[0] as {
      lengths: { tokens: number }[];
      samples: { document: number; text: string }[];
      tokens: number;
    };
    expect(lengths.reduce((sum, range) => sum + range.tokens, 0)).toBe(tokens);
    for (const { document, text } of samples) expect(articles.train[document].startsWith(text)).toBe(true);

    await succeed(["train", "--data", "wiki", "--out", "wiki-run", ...tiny, "--steps", "2"], withHub());
    const validation = await openShards(join(folder, "wiki", "validation"));
    const metrics = jsonLines(readFileSync(join(folder, "wiki-run", "metrics.jsonl"), "utf8"));
    expect(metrics.find(({ type }) => type === "eval")?.tokens).toBe(validation.tokens - 1);
    validation.close();
    const repeated = ["prepare", "--data", "hub:wiki40b/en", "--out", "wiki", ...small];
    await fail(repeated, 2, /^longhand: --out wiki: it holds prepared text already;/, withHub());
    await fail(["prepare", "--data", "wiki", "--out", "again"], 2, /--data wiki: it is prepared already/, withHub());
    await fail(
      ["eval", "wiki-run", "--data", "wiki", "--split", "test"],
      2,
      /--split test: wiki holds token shards/,
      withHub(),
    );
  });

  it("is trained on straight away at a commit, and measured a word; resuming asks the hub for nothing", async () => {
    const limit = ["--limit", "100kB"];
    await succeed(["train", "--data", "hub:pg19", "--out", "books", ...tiny, ...limit, "--steps", "2"], withHub());
    const { data } = JSON.parse(readFileSync(join(folder, "books", "config.json"), "utf8"));
    expect(data).toMatchObject({ path: `hub:pg19@${hub.commitOf("emozilla/pg19")}`, limit: "100kB" });
    expect(readdirSync(join(folder, "books", "data")).sort()).toEqual(["heldout", "train"]);
    expect(await documentsOf("books/data/heldout")).toEqual([chapters(20, 24).join("\n\n")]);
    const evaluate = ["eval", "books", "--data", "hub:pg19", "--split", "test", "--json"];
    const [result] = jsonLines((await succeed(evaluate, withHub())).stdout) as Record<string, number>[];
    expect(result.words).toBe(words([addresses(10, 14).join("\n\n")]));
    expect(Math.log(result.wordPerplexity)).toBeCloseTo((result.loss * result.tokens) / result.words, 6);
    const parts = jsonLines((await succeed(["data", "inspect", "books/data", "--json"], withHub())).stdout);
    expect(parts).toMatchObject([{ split: "train" }, { split: "validation", documents: 1 }]);
    const asked = hub.requests.length;
    await succeed(["train", "--resume", "books", "--steps", "3"], withHub());
    expect(hub.requests.length).toBe(asked);
  });

  it("is estimated first, without fetching it", async () => {
    const home = join(folder, "dry");
    const dry = ["prepare", "--data", "hub:c4/en", "--dry-run", "--json", ...small];
    const [estimate] = jsonLines((await succeed(dry, withHub({ env: { ...env, HF_HOME: home } }))).stdout);
    expect(existsSync(home)).toBe(false);
    const bytes = Buffer.byteLength(addresses(0, 40).join(""));
    const [train] = estimate.splits as Record<string, number>[];
    expect(train).toMatchObject({ split: "train", files: 4 });
    expect(train.textBytes / bytes).toBeGreaterThan(0.7);
    expect(train.textBytes / bytes).toBeLessThan(1.4);
    expect(train.tokens / train.textBytes).toBeGreaterThan(0.2);
    const { stdout } = await succeed([...dry.slice(0, 4), "--limit", "10docs"], withHub());
    expect(stdout).toMatch(
      /^hub:c4@[0-9a-f]{40}\/en\ntrain: 4 files of .*; about .* in 10 documents, .* tokens, .* of shards, \d+s\nvalidation: 1 file/,
    );
  });

  it("goes on after a connection that was cut, and mixes no two commits", async () => {
    const args = ["prepare", "--data", "hub:c4", "--out", "pages", ...small, "--limit", "12docs"];
    const home = withHub({ env: { ...env, HF_HOME: join(folder, "trouble") } });
    const { files } = c4();
    const broken = gzipSync("{broken\n".repeat(50));
    hub.put("allenai/c4", { files: { ...files, "en/c4-validation.00000-of-00001.json.gz": broken } });
    hub.fault({ of: "/contents/", cutAfter: 5000 });
    hub.fault({ of: "/resolve/", status: 429, headers: { "Retry-After": "0" } });
    const sentence = /c4-validation.00000-of-00001.json.gz: line 1 is not JSON; 50 of 50 lines cannot be used/;
    await fail(args, 1, sentence, home);
    expect(await documentsOf("pages/train")).toEqual(addresses(0, 12));
    await fail(["train", "--data", "pages", "--out", "never", ...tiny], 1, /its preparation was interrupted/, home);
    hub.put("allenai/c4", { files });
    await fail(args, 2, /^longhand: --out pages.train: it holds other prepared text; choose another/, home);
  });

  it("that is not there, or not to be reached, is one sentence", async () => {
    const out = ["--out", "nothing"];
    const none = { ...env, HF_ENDPOINT: "http://127.0.0.1:9" };
    await fail(
      ["prepare", "--data", "hub:some/none", ...out],
      1,
      /^longhand: hub: there is no public data set some\/none \(401\);/,
      withHub(),
    );
    await fail(
      ["prepare", "--data", "hub:wiki40b/xx", ...out],
      2,
      /^longhand: --data hub:wiki40b\/xx: expected one of the languages ar,/,
      withHub(),
    );
    await fail(
      ["train", "--data", "hub:pg19", ...tiny, ...out],
      1,
      /hub: the connection to http:\/\/127.0.0.1:9 fails/,
      withHub({ env: none }),
    );
    expect(existsSync(join(folder, "nothing"))).toBe(false);
  });
});

describe("files of one's own", { timeout: 120_000 }, () => {
  it("are read by pattern, column and field, and from standard input", async () => {
    put("dump/a.parquet", parquet({ id: ["1", "2"], body: ["one", "two"] }));
    put("dump/b.parquet", parquet({ id: ["3"], body: ["one"] }));
    await succeed(["prepare", "--data", "dump/*.parquet", "--field", "body", "--out", "rows", ...small], withHub());
    expect(await documentsOf("rows")).toEqual(["one", "two", "one"]);
    // What a shell makes of the pattern.
    const expanded = [
      "prepare",
      "--data",
      "dump/a.parquet",
      "dump/b.parquet",
      "--field=body",
      "--out",
      "again",
      ...small,
    ];
    await succeed(expanded, withHub());
    expect(await documentsOf("again")).toEqual(["one", "two", "one"]);
    await fail(
      [...expanded.slice(0, 4), "hub:pg19", "--out=x"],
      2,
      /--data hub:pg19: it cannot be given together/,
      withHub(),
    );
    const { stdout } = await succeed(["data", "inspect", "rows"], withHub());
    expect(stdout).toMatch(/^rows: 3 documents, \d+ tokens, 3 words, 9 B of text\n {2}from .*dump\/\*.parquet\n/);
    expect(stdout).toContain("  33.33 % of the documents (1) equal an earlier one\n");
    expect(stdout).toContain('tokens: "two"\n');
    const input = '{"t":"Call me Ishmael."}\n{"t":"Some years ago."}';
    const tokenizer = join(folder, "rows", "tokenizer.json");
    await succeed(
      ["prepare", "--data", "-", "--field", "t", "--out", "piped", "--tokenizer", tokenizer],
      withHub({ input }),
    );
    expect(await documentsOf("piped")).toEqual(["Call me Ishmael.", "Some years ago."]);
    expect(readFileSync(join(folder, "piped", "tokenizer.json"))).toEqual(readFileSync(tokenizer));
  });

  it("leave lines out with a warning that names file and line", async () => {
    const lines = Array.from({ length: 300 }, (_, i) => (i === 41 ? "no" : JSON.stringify({ text: `line ${i}` })));
    put("mostly.jsonl.gz", gzipSync(lines.join("\n")));
    const { stderr } = await succeed(["prepare", "--data", "mostly.jsonl.gz", "--out", "mostly", ...small], withHub());
    expect(stderr.match(/^warning: mostly.jsonl.gz: 1 of 300 lines left out; line 42 is not JSON$/gm)).toHaveLength(1);
    expect(await documentsOf("mostly")).toHaveLength(299);
  });

  it("keep a split that was finished before the trouble", async () => {
    for (const [i, chapter] of chapters(1, 5).entries()) put(`library/train/${i}.txt`, chapter);
    const bad = put("library/validation/1.txt", Buffer.from("na\xefve", "latin1"));
    const args = ["prepare", "--data", "library", "--out", "shelf", ...small];
    await fail(args, 1, /library.validation.1.txt is not UTF-8/, withHub());
    const before = statSync(join(folder, "shelf", "train", "index.json")).mtimeMs;
    put(bad, "mended");
    await succeed(args, withHub());
    expect(statSync(join(folder, "shelf", "train", "index.json")).mtimeMs).toBe(before);
    expect(await documentsOf("shelf/train")).toEqual(chapters(1, 5));
    expect(await documentsOf("shelf/validation")).toEqual(["mended"]);
  });

  const whole = gzipSync(JSON.stringify({ text: "Call me Ishmael. ".repeat(500) }));
  it.concurrent.each<[string, () => string | Uint8Array, RegExp]>([
    ["cut.jsonl.gz", () => whole.subarray(0, -9), /cut.jsonl.gz is cut off: its gzip data has no end; fetch it again$/],
    ["none.jsonl.gz", () => "", /none.jsonl.gz is empty; give a file with some text$/],
    [
      "cut.parquet",
      () => parquet({ text: ["a"] }).subarray(0, -4),
      /cut.parquet is not a parquet file, or it is cut off or damaged/,
    ],
    [
      "other.parquet",
      () => parquet({ body: ["a"], title: ["b"] }),
      /other.parquet has no field text; it has body, title: choose one with --field$/,
    ],
    ["latin1.txt", () => Buffer.from("na\xefve", "latin1"), /latin1.txt is not UTF-8: invalid byte 0xef at offset 2;/],
  ])("%s cannot be used", async (name, content, sentence) => {
    put(name, content());
    await fail(["prepare", "--data", name, "--out", `of-${name}`, ...small], 1, sentence, withHub());
    if (name.startsWith("cut")) {
      await fail(["train", "--data", name, "--out", `run-${name}`, ...tiny], 1, sentence, withHub());
    }
    expect(existsSync(join(folder, `of-${name}`, "index.json"))).toBe(false);
  });

  it.each<[string[], RegExp]>([
    [["--data", "x.txt"], /^longhand: --out is missing \(expected text\)$/],
    [["--out", "x"], /^longhand: --data is missing \(expected a path, or several\)$/],
    [
      ["--data", "x.txt", "--out", "x", "--limit", "100"],
      /--limit 100: expected a size such as 500MB or a count such as 10000docs$/,
    ],
    [
      ["--data", "x.txt", "--out", "x", "--split", "tets"],
      /--split tets: expected train, validation, test \(did you mean test\?\)$/,
    ],
    [["--data", "x.txt", "--out", "x", "--vocab", "40000"], /--vocab/],
  ])("wrong usage: %j", async (args, sentence) => {
    await fail(["prepare", ...args], 2, sentence, withHub());
  });

  const possible =
    process.platform === "linux" &&
    spawnSync("unshare", ["-rm", "mount", "-t", "tmpfs", "longhand", tmpdir()]).status === 0;

  it.runIf(possible)("on a full disk: one sentence, and the same command again goes through", async () => {
    const disk = join(folder, "disk");
    mkdirSync(disk);
    const script = `mount -t tmpfs -o size=40k longhand "$0" && { "$@"; status=$?
      [ -e "$0/out/index.json" ] && exit 50; [ -e "$0/out/train" ] && exit 52
      mount -o remount,size=20m "$0"; "$@" >/dev/null 2>&1 || exit 51; exit $status; }`;
    const through = ["unshare", "-rm", "bash", "-c", script, disk];
    const args = ["prepare", "--data", text, "--out", join(disk, "out"), ...small];
    await fail(args, 1, /cannot write .*out: the disk is full; free some space and run the same command again$/, {
      through,
    });
    const fetched = ["prepare", "--data", "hub:wiki40b/en", "--out", join(disk, "out"), ...small];
    const sentence =
      /hub: cannot keep en.train-0000.* in .*: the disk is full; make room or set HF_HUB_CACHE to another/;
    await fail(fetched, 1, sentence, { through, env: { ...env, HF_HOME: join(disk, "hf") } });
  });

  it("stop at the first Ctrl-C, prepared or trained on", async () => {
    const big = put("big.txt", chapters(1, 100).join("\n\n").repeat(12));
    const from = ["--data", big, "--tokenizer", tokenizer, "--out"];
    for (const [args, sentence] of [
      [["prepare", ...from, "stopped"], /stopped: run the same command again to go on; what is done is kept\n$/],
      [
        ["train", ...from, "stopped-run", ...tiny.slice(0, -4)],
        /stopped before the first step: nothing is kept but what was fetched\n$/,
      ],
    ] as const) {
      const running = start(args, withHub());
      await running.saw(/turning (train|text) into tokens/);
      running.child.kill("SIGINT");
      const { status, stderr } = await running.ended;
      expect(stderr).toMatch(sentence);
      expect(status).toBe(130);
    }
    expect(existsSync(join(folder, "stopped", "index.json"))).toBe(false);
    expect(existsSync(join(folder, "stopped-run"))).toBe(false);
  });
});
