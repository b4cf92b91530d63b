/** `longhand train --mix`: several corpora by weight, stopped, killed and gone on with, measured each, and bad input. */
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { decodeManifest, encodeManifest } from "../../src/checkpoint/manifest.ts";
import { runConfigSchema } from "../../src/config/run-config.ts";
import { firstPlace, mixtureBatch } from "../../src/data/mixture.ts";
import { pg19, wiki40b } from "../support/hub/corpora.ts";
import { TestHub } from "../support/hub/server.ts";
import { fail, jsonLines, learnt, sampleText, start, succeed, tiny, treeOf, workspace } from "./command.ts";

const { folder, text } = workspace();
const at = { cwd: folder };
const STEPS = 14;
const every = ["--accumulate", "2", "--save-every", "1", "--eval-every", "7", "--seed", "5"];
const mixed = (run: string, ...more: string[]) => [
  "train",
  "--mix",
  "shards=2",
  "library=1",
  "--out",
  run,
  ...tiny,
  "--steps",
  `${STEPS}`,
  ...every,
  ...more,
];
const readJson = (path: string) => JSON.parse(readFileSync(join(folder, path), "utf8"));
const stateOf = (run: string, step: number) =>
  readJson(`${run}/checkpoints/step-${String(step).padStart(8, "0")}/state.json`).state;
const metricsOf = (run: string) => jsonLines(readFileSync(join(folder, run, "metrics.jsonl"), "utf8"));

interface Part {
  readonly name: string;
  readonly loss: number;
  readonly tokens: number;
}

/** All that the resumed run must have in common with the uninterrupted one. */
function outcome(run: string) {
  const { data, updates } = stateOf(run, STEPS);
  const evaluations = metricsOf(run).filter(({ type }) => type === "eval");
  return { ...learnt(join(folder, run), STEPS), evaluations, data, updates };
}

/** Shards of a text, by the tokenizer of the first. */
const prepare = (from: string, out: string) =>
  succeed(["prepare", "--data", from, "--out", out, "--tokenizer", join("shards", "tokenizer.json")], at);

beforeAll(async () => {
  for (const part of ["train", "validation"]) mkdirSync(join(folder, "library", part), { recursive: true });
  const other = sampleText(70_000).slice(30_000);
  writeFileSync(join(folder, "library", "train", "1.txt"), other.slice(0, 20_000));
  writeFileSync(join(folder, "library", "validation", "1.txt"), other.slice(20_000, 24_000));
  writeFileSync(join(folder, "short.txt"), "Call me Ishmael.");
  await succeed(["prepare", "--data", text, "--out", "shards", "--vocab", "300"], at);
  await succeed(mixed("whole"), at);
}, 120_000);

describe("longhand train --mix", { timeout: 120_000 }, () => {
  it("writes every part with its weight, and tokens of what is text with the tokenizer of the shards", () => {
    const { format: _, version: __, ...config } = readJson("whole/config.json");
    expect(runConfigSchema.parse(config)).toEqual(config);
    expect(config.data.mix).toEqual([
      { path: join(folder, "shards"), weight: 2 },
      { path: join(folder, "library"), weight: 1 },
    ]);
    expect(Object.keys(config.data)).not.toContain("path");
    expect(readdirSync(join(folder, "whole", "data"))).toEqual(["part-1"]);
    expect(readdirSync(join(folder, "whole", "data", "part-1")).sort()).toEqual(["heldout", "train"]);
    const digest = readJson("shards/index.json").tokenizerDigest;
    expect(config.data.tokenizerDigest).toBe(digest);
    expect(readJson("whole/data/part-1/train/index.json").tokenizerDigest).toBe(digest);
  });

  it("draws examples as the seed says and keeps the place", () => {
    const { data } = stateOf("whole", STEPS);
    const sequence = (tokens: number) => ({ tokens, read: () => {} });
    const corpora = [2, 1].map((weight, i) => ({
      weight,
      sequence: sequence(data.tokens[i]),
      digest: data.digests[i],
    }));
    expect(data.digests).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/), expect.stringMatching(/^[0-9a-f]{64}$/)]);
    const cursor = firstPlace(corpora);
    const wanted = mixtureBatch({ corpora, context: 64, batch: STEPS * 4, seed: 5, cursor }).cursor;
    expect(data).toEqual(wanted);
    expect(data.examples).toBe(STEPS * 2 * 2);
    expect(Math.min(...data.drawn)).toBeGreaterThan(0);
  });

  it("measures each part, in shares of --eval-tokens, and all of them together", async () => {
    await succeed(mixed("measured", "--steps", "1", "--eval-tokens", "300"), at);
    const parts = metricsOf("measured").find(({ type }) => type === "eval")?.parts as Part[];
    expect(parts.map(({ name, tokens }) => [name, tokens])).toEqual([
      ["shards", 200],
      ["library", 100],
    ]);
    for (const record of metricsOf("whole").filter(({ type }) => type === "eval")) {
      const parts = record.parts as Part[];
      const tokens = parts.reduce((sum, part) => sum + part.tokens, 0);
      expect(record.tokens).toBe(tokens);
      expect(record.loss).toBeCloseTo(parts.reduce((sum, part) => sum + part.loss * part.tokens, 0) / tokens, 10);
    }
    const events = readdirSync(join(folder, "whole")).find((name) => name.startsWith("events.")) as string;
    expect(readFileSync(join(folder, "whole", events), "latin1")).toContain("eval/loss/library");
    const evaluate = ["eval", "whole", "--data", "library", "--json"];
    const [{ loss, tokens }] = jsonLines((await succeed(evaluate, at)).stdout) as unknown as Part[];
    const heldOut = metricsOf("whole").findLast(({ type }) => type === "eval")?.parts as Part[];
    expect(tokens).toBe(heldOut[1].tokens + 1); // the first token too
    expect(loss).toBeCloseTo(heldOut[1].loss, 1);
  });

  it("is measured on a text of its own with --eval-data, and on no part", async () => {
    await succeed(mixed("own", "--steps", "1", "--eval-data", "short.txt"), at);
    const record = metricsOf("own").find(({ type }) => type === "eval");
    expect(record).toMatchObject({ tokens: expect.any(Number) });
    expect(record).not.toHaveProperty("parts");
    expect(readdirSync(join(folder, "own", "data")).sort()).toEqual(["heldout", "part-1"]);
    await succeed(["train", "--resume", "own", "--steps", "2"], at);
    expect(metricsOf("own").findLast(({ type }) => type === "eval")?.tokens).toBe(record?.tokens);
  });

  it("goes on bit for bit when it was stopped, and when it was killed", async () => {
    const stopped = start(mixed("stopped", "--json"), at);
    await stopped.saw(/"type":"train","step":4,/);
    stopped.child.kill("SIGINT");
    expect(await stopped.ended).toMatchObject({ status: 0 });
    const killed = start(mixed("killed", "--json"), at);
    await killed.saw(/"type":"checkpoint","step":6,/);
    killed.child.kill("SIGKILL");
    await killed.ended;
    for (const run of ["stopped", "killed"]) {
      const { stderr } = await succeed(["train", "--resume", run], at);
      expect(stderr).toMatch(/66\.7 % of the examples from shards: \d+ tokens/);
      expect(outcome(run)).toEqual(outcome("whole"));
    }
  });

  it("learns one tokenizer from all parts that are text, masked as well, and takes flags from a file", async () => {
    const mix = [`${text}=1`, { data: "library", weight: 2, split: "train", limit: "10kB" }];
    writeFileSync(join(folder, "mix.json"), JSON.stringify({ mix, "eval-every": 2 }));
    const args = ["train", "--config", "mix.json", "--out", "texts", ...tiny, "--objective", "masked", "--steps", "2"];
    await succeed(args, at);
    const { mix: written, path } = readJson("texts/config.json").data;
    expect(written[1]).toEqual({ path: join(folder, "library"), weight: 2, split: "train", limit: "10kB" });
    expect(path).toBeUndefined();
    const digests = [0, 1].map((i) => readJson(`texts/data/part-${i}/train/index.json`).tokenizerDigest);
    expect(digests[0]).toBe(digests[1]);
    const parts = metricsOf("texts").find(({ type }) => type === "eval")?.parts as Part[];
    expect(parts.map(({ name }) => name)).toEqual(["text", "library"]);
    // What is given on the command line takes the place of the file's.
    await succeed(["train", "--config", "mix.json", "--data", text, "--out", "single", ...tiny, "--steps", "1"], at);
    expect(readJson("single/config.json").data).toMatchObject({ path: text });
  });

  it("of corpora of the hub records their commits, holds out their validation splits and asks nothing on resuming", async () => {
    const hub = await TestHub.start();
    try {
      hub.put("google/wiki40b", wiki40b());
      hub.put("emozilla/pg19", pg19());
      const env = { HF_ENDPOINT: hub.endpoint, HF_HOME: join(folder, "hf"), HF_TOKEN: "" };
      const args = ["train", "--mix", "hub:wiki40b/en=3", "hub:pg19=1", "--limit", "60kB", "--out", "hub", ...tiny];
      await succeed([...args, "--steps", "1"], { ...at, env });
      expect(readJson("hub/config.json").data.mix).toEqual([
        { path: `hub:wiki40b@${hub.commitOf("google/wiki40b")}/en`, weight: 3, limit: "60kB" },
        { path: `hub:pg19@${hub.commitOf("emozilla/pg19")}`, weight: 1, limit: "60kB" },
      ]);
      for (const i of [0, 1]) {
        expect(readdirSync(join(folder, "hub", "data", `part-${i}`)).sort()).toEqual(["heldout", "train"]);
      }
      const asked = hub.requests.length;
      await succeed(["train", "--resume", "hub", "--steps", "2"], { ...at, env });
      expect(hub.requests.length).toBe(asked);
      const parts = metricsOf("hub").findLast(({ type }) => type === "eval")?.parts as Part[];
      expect(parts.map(({ name }) => name)).toEqual(["wiki40b-en", "pg19"]);
    } finally {
      await hub.stop();
    }
  });

  it("refuses what cannot be meant or used, with one sentence, and writes nothing", async () => {
    await succeed(["prepare", "--data", "library", "--split", "train", "--out", "others", "--vocab", "310"], at);
    await prepare("short.txt", "few");
    const before = treeOf(folder);
    const cases: [string[], 1 | 2, RegExp][] = [
      [["shards=2", "missing.txt=1"], 1, /missing.txt does not exist/],
      [["shards=2", "library"], 2, /--mix library: expected data=weight/],
      [["shards=2", "few=1"], 1, /few gives \d+ tokens to learn, and a context of 64/],
      [["shards=2", "others=1"], 1, /shards and \S*others were made with different tokenizers; prepare both/],
      [["library=1", "others=1", "--tokenizer", "shards/tokenizer.json"], 1, /others was made with another tokenizer/],
      [["shards=1", "--limit", "1MB"], 2, /--limit 1MB: shards holds token shards/],
      [["shards=1", "--data", "library"], 2, /--data library cannot be combined with --mix/],
      [["shards=1", "library=1", "--set", "data.split=train"], 2, /expected either data.path or data.mix/],
      [["shards=1", "library=1", "--set", "data.mix=1"], 2, /--set data.mix: expected one of/],
    ];
    await Promise.all(
      cases.map(([args, status, sentence], i) =>
        fail(["train", "--mix", ...args, "--out", `never-${i}`, ...tiny], status, sentence, at),
      ),
    );
    expect(treeOf(folder)).toEqual(before);
  });
});

describe("the place in the data of a checkpoint", { timeout: 120_000 }, () => {
  const sha256 = (value: string) => createHash("sha256").update(value).digest("hex");

  /** Changes what a run's checkpoint of a step says of its place, with a checksum that fits. */
  function edit(run: string, step: number, change: (data: Record<string, unknown>) => unknown) {
    const file = join(folder, run, "checkpoints", `step-${String(step).padStart(8, "0")}`, "state.json");
    const manifest = decodeManifest(readFileSync(file, "utf8"), file, sha256);
    const state = manifest.state as Record<string, unknown>;
    writeFileSync(
      file,
      encodeManifest({ ...manifest, state: { ...state, data: change(state.data as never) } }, sha256),
    );
  }

  it("follows from the step where a checkpoint of before has none, of a single text", async () => {
    const single = (run: string, steps: number) =>
      succeed(
        ["train", "--data", text, "--out", run, ...tiny, "--steps", `${steps}`, "--schedule=constant", ...every],
        at,
      );
    await single("alone", 6);
    await single("before", 4);
    edit("before", 4, () => undefined);
    await succeed(["train", "--resume", "before", "--steps", "6"], at);
    expect(stateOf("before", 6).data).toEqual(stateOf("alone", 6).data);
    const { evaluations: _, ...before } = learnt(join(folder, "before"), 6);
    expect(learnt(join(folder, "alone"), 6)).toMatchObject(before);
  });

  it("that is not one of the run is refused, and so is another corpus", async () => {
    cpSync(join(folder, "whole"), join(folder, "edited"), { recursive: true });
    const resume = ["train", "--resume", "edited", "--steps", "20"];
    edit("edited", STEPS, (data) => ({ ...data, examples: 3 }));
    await fail(resume, 1, /state.json of step 14: expected a place in the data after 56 examples, got 3/, at);
    edit("edited", STEPS, () => undefined);
    await fail(resume, 1, /expected a place in the data for 2 corpora, got none/, at);
    edit("edited", STEPS, () => "here");
    await fail(resume, 1, /the training counters are missing or damaged/, at);
    const whole = stateOf("whole", STEPS).data;
    edit("edited", STEPS, () => whole);
    const shards = join(folder, "shards");
    cpSync(shards, join(folder, "kept"), { recursive: true });
    writeFileSync(join(folder, "longer.txt"), sampleText(31_000));
    await prepare("longer.txt", "longer");
    const [first, second, ...rest] = readFileSync(text, "utf8").split("\n");
    writeFileSync(join(folder, "turned.txt"), [second, first, ...rest].join("\n"));
    await prepare("turned.txt", "turned");
    for (const [other, sentence] of [
      ["longer", /shards has \d+ tokens to learn and had \d+ when the run was saved; bring back what it was/],
      ["turned", /shards has other tokens than when the run was saved, though as many; bring back what it was/],
      ["others", /shards was made with another tokenizer/],
    ] as const) {
      rmSync(shards, { recursive: true });
      cpSync(join(folder, other), shards, { recursive: true });
      await fail(resume, 1, sentence, at);
    }
    rmSync(shards, { recursive: true });
    cpSync(join(folder, "kept"), shards, { recursive: true });
    await succeed(resume, at);
  });
});
