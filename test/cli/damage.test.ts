/**
 * Run folders that were damaged: a checkpoint that is not whole is passed over with a warning for the one before it; what
 * cannot be used is refused with one sentence. Nothing is deleted.
 */
import { cpSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { fail, learnt, succeed, tiny, treeOf, workspace } from "./command.ts";

const { folder, text } = workspace();
const good = join(folder, "good");
const other = join(folder, "other");
const trainInto = (run: string, ...more: string[]) => ["train", "--data", text, "--out", run, ...tiny, ...more];

beforeAll(async () => {
  await Promise.all([
    succeed(trainInto(good, "--steps", "4", "--save-every", "2")),
    succeed(trainInto(other, "--steps", "1", "--vocab", "290")),
  ]);
}, 60_000);

let copies = 0;
function copyOfGood(): string {
  const run = join(folder, `copy-${copies++}`);
  cpSync(good, run, { recursive: true });
  return run;
}

const at = (run: string, step: number, file: string) => join(run, "checkpoints", `step-0000000${step}`, file);

function edit(path: string, change: (bytes: Buffer) => void): void {
  const bytes = readFileSync(path);
  change(bytes);
  writeFileSync(path, bytes);
}

type Damage = (run: string, step: number) => void;

const cut =
  (file: string, length: number): Damage =>
  (run, step) =>
    truncateSync(at(run, step, file), length);

const flip =
  (file: string, place: number): Damage =>
  (run, step) =>
    edit(at(run, step, file), (bytes) => {
      bytes[place < 0 ? bytes.length + place : place] ^= 1;
    });

/** Keeps the length of the file and says something else in its header. */
const lie =
  (from: string, to: string): Damage =>
  (run, step) =>
    edit(at(run, step, "model.safetensors"), (bytes) => {
      const place = bytes.indexOf(from);
      expect(place).toBeGreaterThan(0);
      bytes.write(to, place);
    });

/** [what, the damage, what the warning says of it, whether a model can be used without the damaged part] */
const damages: [string, Damage, RegExp, boolean?][] = [
  ["model.safetensors cut to nothing", cut("model.safetensors", 0), /model.safetensors: 0 bytes long instead of \d+/],
  ["model.safetensors cut in its header", cut("model.safetensors", 5), /model.safetensors: 5 bytes long/],
  ["model.safetensors cut in its tensors", cut("model.safetensors", 9999), /model.safetensors: 9999 bytes long/],
  ["optimizer.safetensors cut", cut("optimizer.safetensors", 100), /optimizer.safetensors: 100 bytes long/, true],
  ["state.json cut", cut("state.json", 60), /state.json: it is not valid JSON/],
  ["state.json empty", cut("state.json", 0), /state.json: it is not valid JSON/],
  ["a bit of the header's length flipped", flip("model.safetensors", 0), /model.safetensors: .*checksum/],
  ["the last bit of the tensors flipped", flip("model.safetensors", -1), /model.safetensors: .*checksum/],
  [
    "a bit of the optimiser's state flipped",
    flip("optimizer.safetensors", -9),
    /optimizer.safetensors: .*checksum/,
    true,
  ],
  ["a bit of state.json flipped", flip("state.json", 40), /state.json: .*(checksum|JSON)/],
  ["a lying shape in the header", lie("[300,32]", "[900,32]"), /model.safetensors: .*checksum/],
  ["a lying offset in the header", lie('"data_offsets":[0', '"data_offsets":[9'), /model.safetensors: .*checksum/],
  ["state.json missing", (run, step) => rmSync(at(run, step, "state.json")), /state.json: it is missing/],
  ["model.safetensors missing", (run, step) => rmSync(at(run, step, "model.safetensors")), /model.*: it is missing/],
];

describe("a damaged checkpoint", { timeout: 60_000 }, () => {
  it.concurrent.each(damages)("is passed over for the one before it: %s", async (_, damage, reason, modelIsWhole) => {
    const run = copyOfGood();
    damage(run, 4);
    const before = treeOf(run);
    const { stderr } = await succeed(["generate", run, "It was", "--tokens", "2"]);
    expect(treeOf(run)).toEqual(before);
    if (modelIsWhole) expect(stderr).not.toContain("warning");
    else
      expect(stderr).toMatch(
        new RegExp(`^warning: skipping a damaged checkpoint: .*step-00000004.*${reason.source}`, "m"),
      );
    const { stderr: resumed } = await succeed(["train", "--resume", run]);
    expect(resumed).toMatch(new RegExp(`^warning: skipping a damaged checkpoint: .*${reason.source}`, "m"));
    expect(resumed).toMatch(/, from step 2$/m);
    expect(learnt(run, 4)).toEqual(learnt(good, 4)); // and the damage is made good
  });

  it("is an error when there is no other, and all stay where they are", async () => {
    const run = copyOfGood();
    cut("model.safetensors", 50)(run, 4);
    flip("model.safetensors", -1)(run, 2);
    cut("state.json", 3)(run, 0);
    const before = treeOf(run);
    const sentence = /all its 3 checkpoints are damaged: .*step-00000004.*model.safetensors: 50 bytes long/;
    await fail(["generate", run, "It was"], 1, sentence);
    await fail(["eval", run, "--data", text], 1, sentence);
    await fail(["train", "--resume", run], 1, sentence);
    expect(treeOf(run)).toEqual(before);
  });
});

function editConfig(run: string, change: (config: Record<string, Record<string, unknown>>) => void): void {
  const file = join(run, "config.json");
  const config = JSON.parse(readFileSync(file, "utf8"));
  change(config);
  writeFileSync(file, JSON.stringify(config));
}

/** [what, the damage, the sentence, whether only training minds] */
const refused: [string, (run: string) => void, RegExp, boolean?][] = [
  [
    "config.json of another version",
    (run) => editConfig(run, (config) => Object.assign(config, { version: 2 })),
    /config.json: it has version 2, and this version of Longhand reads 1$/,
  ],
  [
    "config.json with an unknown field",
    (run) => editConfig(run, ({ model }) => Object.assign(model, { widht: 3 })),
    /config.json: unknown field model.widht$/,
  ],
  [
    "config.json without a field",
    (run) => editConfig(run, ({ training }) => delete training.seed),
    /config.json: training.seed is missing/,
  ],
  [
    "config.json with a chunk that does not fit",
    (run) => editConfig(run, ({ model }) => Object.assign(model, { chunk: 65 })),
    /config.json: .*chunk 65 does not fit a context of 64/,
  ],
  [
    "config.json of a model of another size",
    (run) => editConfig(run, ({ model }) => Object.assign(model, { width: 64 })),
    /step-00000004: tensor embedding.weight: expected float32\[300, 64\], got float32\[300, 32\]$/,
  ],
  [
    "config.json of another program",
    (run) => writeFileSync(join(run, "config.json"), "{}"),
    /not written by Longhand$/,
  ],
  ["config.json cut short", (run) => truncateSync(join(run, "config.json"), 99), /config.json: it is not valid JSON/],
  [
    "tokenizer.json of another run",
    (run) => cpSync(join(other, "tokenizer.json"), join(run, "tokenizer.json")),
    /tokenizer.json: it is not the tokenizer that the run was trained with$/,
  ],
  ["tokenizer.json missing", (run) => rmSync(join(run, "tokenizer.json")), /tokenizer.json does not exist$/],
  [
    "tokenizer.json cut short",
    (run) => truncateSync(join(run, "tokenizer.json"), 99),
    /tokenizer.json is not a tokenizer.json: it is not valid JSON/,
  ],
  [
    "a flipped bit in the tokens",
    (run) =>
      edit(join(run, "data", "train", "shard-00000.bin"), (bytes) => {
        bytes[5000] ^= 1;
      }),
    /shard-00000.bin is damaged: .*checksum/,
    true,
  ],
  ["the tokens missing", (run) => rmSync(join(run, "data"), { recursive: true }), /data.train.*no index.json/, true],
];

describe("a damaged run", { timeout: 60_000 }, () => {
  it.concurrent.each(refused)("is refused: %s", async (_, damage, sentence, onlyTraining) => {
    const run = copyOfGood();
    damage(run);
    const before = treeOf(run);
    if (!onlyTraining) await fail(["generate", run, "It was"], 1, sentence);
    await fail(["train", "--resume", run, "--steps", "9"], 1, sentence);
    expect(treeOf(run)).toEqual(before);
  });

  it("goes on without its metrics, and repairs half a line", async () => {
    const run = copyOfGood();
    rmSync(join(run, "metrics.jsonl"));
    await succeed(["train", "--resume", run, "--steps", "5"]);
    const halved = copyOfGood();
    truncateSync(join(halved, "metrics.jsonl"), 500);
    await succeed(["train", "--resume", halved, "--steps", "5"]);
    expect(learnt(halved, 5).model).toBe(learnt(run, 5).model);
  });
});
