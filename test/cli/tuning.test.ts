/** Training on from a trained model: whole, with frozen parts, as an adapter; masked too; and what is refused. */
import { cpSync, existsSync, readFileSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { fail, jsonLines, learnt, start, succeed, tiny, treeOf, workspace } from "./command.ts";

const { folder, text } = workspace();
const at = (name: string) => join(folder, name);
const other = at("other.txt");
const config = (run: string) => JSON.parse(readFileSync(join(run, "config.json"), "utf8"));
const bytesOf = (run: string, step: number, file = "model.safetensors") =>
  readFileSync(join(run, "checkpoints", `step-${String(step).padStart(8, "0")}`, file));
const base = at("base");
const few = [
  "--context",
  "64",
  "--batch",
  "2",
  "--steps",
  "12",
  "--save-every",
  "1",
  "--eval-every",
  "6",
  "--threads",
  "1",
];
const from = (out: string, ...more: string[]) => [
  "train",
  "--from",
  base,
  "--data",
  other,
  "--out",
  out,
  ...few,
  ...more,
];

beforeAll(async () => {
  writeFileSync(other, "The sea was calm, and nobody spoke of the whale. ".repeat(300));
  await succeed(["train", "--data", text, "--out", base, ...tiny, "--steps", "6", "--save-every", "6"]);
  await succeed(["train", "--data", text, "--out", at("masked"), ...tiny, "--steps", "3", "--objective", "masked"]);
}, 120_000);

describe("train --from", { timeout: 120_000 }, () => {
  it("begins with the parameters of the model, at step 0, with settings of its own", async () => {
    const run = at("whole");
    const { stderr } = await succeed(from(run, "--lr", "0.001", "--context", "48", "--keep", "20"));
    expect(stderr).toContain(`begins from ${base}, step 6`);
    expect(bytesOf(run, 0)).toEqual(bytesOf(base, 6));
    expect(bytesOf(run, 12)).not.toEqual(bytesOf(base, 6));
    const [before, after] = [config(base), config(run)];
    expect(after.model).toEqual(before.model);
    expect(after.from).toMatchObject({ path: base, step: 6, weights: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(after.data.tokenizerDigest).toBe(before.data.tokenizerDigest);
    expect(after.data.bytesPerToken).toBe(before.data.bytesPerToken);
    expect(after.training).toMatchObject({ context: 48, schedule: { peak: 0.001 } });
    expect(readFileSync(join(run, "tokenizer.json"))).toEqual(readFileSync(join(base, "tokenizer.json")));
  });

  it("finds a rate from the model that it begins with, and again when that was interrupted", async () => {
    const search = (out: string) => from(out, "--lr", "auto", "--adapter", "rank=1", "--steps", "40", "--json");
    await succeed(search(at("searched")));
    const { child, ended, saw } = start(search(at("search-killed")));
    await saw(/"type":"rate-trial"/);
    child.kill("SIGKILL");
    await ended;
    await succeed(["train", "--resume", at("search-killed")]);
    const rates = ["searched", "search-killed"].map((name) => config(at(name)).training.schedule.peak);
    expect(rates[1]).toBe(rates[0]);
    expect(learnt(at("search-killed"), 40)).toEqual(learnt(at("searched"), 40));
  });

  it("has the context of the model where none is given", async () => {
    await succeed(["train", "--from", base, "--data", text, "--out", at("context"), "--steps", "1", "--batch", "1"]);
    expect(config(at("context")).training.context).toBe(config(base).training.context);
  });

  it.each([
    ["everything", ["--ema", "0.9", "--accumulate", "2"]],
    ["frozen parts, with AdamW", ["--freeze", "embedding", "--freeze", "layers.0", "--optimizer", "adamw"]],
    ["frozen parts, averaged", ["--freeze", "layers.0", "--ema", "0.9", "--accumulate", "2"]],
    ["an adapter", ["--adapter", "rank=2", "--ema", "0.9"]],
    ["an adapter, recomputed, carried", ["--adapter", "rank=2", "--recompute", "layers", "--carry"]],
  ])("goes on bit for bit after kill -9, without the model that it began from: %s", async (name, more) => {
    const [source, run, killed] = ["source", "run", "killed"].map((kind) => at(`${kind} ${name}`));
    cpSync(base, source, { recursive: true });
    const train = (out: string) => from(out, ...more, "--json").map((word) => (word === base ? source : word));
    await succeed(train(run));
    const { child, ended, saw } = start(train(killed));
    await saw(/"type":"train","step":4,/);
    child.kill("SIGKILL");
    await ended;
    rmSync(source, { recursive: true });
    await succeed(["train", "--resume", killed]);
    expect(learnt(killed, 12)).toEqual(learnt(run, 12));
  });

  it("says when the model that a run was to begin from is gone before its first checkpoint", async () => {
    const [source, run] = [at("gone"), at("of-gone")];
    cpSync(base, source, { recursive: true });
    await succeed(from(run, "--steps", "1").map((word) => (word === base ? source : word)));
    const anew = { cwd: folder };
    rmSync(join(run, "checkpoints"), { recursive: true });
    await succeed(["train", "--resume", run]); // it begins again
    rmSync(join(run, "checkpoints"), { recursive: true });
    renameSync(source, at("elsewhere"));
    await fail(
      ["train", "--resume", run],
      1,
      /no checkpoint yet, and .*gone, from which it was to begin, cannot be/,
      anew,
    );
    cpSync(at("whole"), source, { recursive: true });
    await fail(["train", "--resume", run], 1, /from which it was to begin, has other parameters now; bring that back/);
  });

  it("mixes old text with the new by its share", async () => {
    const run = at("mixed");
    const { stderr } = await succeed(from(run, "--mix", `${text}=0.25`));
    expect(stderr).toMatch(/75\.0 % of the examples from other/);
    expect(stderr).toMatch(/25\.0 % of the examples from text/);
    expect(stderr).toMatch(/held-out loss .*: other \d.*, text \d/);
    await succeed(from(at("mixed-tokens"), "--mix", join(base, "data"))); // its own tokens, at the usual share
    expect(config(at("mixed-tokens")).data.mix.map(({ weight }: { weight: number }) => weight)).toEqual([0.8, 0.2]);
  });

  it("warns of a text that the tokenizer does not know", async () => {
    const greek = at("greek.txt");
    writeFileSync(greek, "Μῆνιν ἄειδε θεὰ Πηληϊάδεω Ἀχιλῆος οὐλομένην. ".repeat(100));
    await succeed(["train", "--data", text, "--out", at("wide"), ...tiny, "--steps", "1", "--vocab", "1000"]);
    const stderr = async (out: string, data: string) => {
      const words = ["train", "--from", at("wide"), "--data", data, "--out", at(out), "--steps", "1"];
      return (await succeed(words)).stderr;
    };
    expect(await stderr("greek", greek)).toMatch(
      /warning: greek: a token of the model stands for 1\.0 bytes of it, and for 2\.\d of the text of the tokenizer/,
    );
    expect(await stderr("english", other)).not.toContain("warning");
  });

  it("fine-tunes a model that fills in blanks", async () => {
    const run = at("masked-on");
    const words = (...more: string[]) => from(run, ...more).map((word) => (word === base ? at("masked") : word));
    await succeed(words("--adapter", "rank=2"));
    expect(config(run).training.objective).toBe("masked");
    const { stdout } = await succeed(["fill", run, "It was a [MASK] night.", "--json"]);
    expect(jsonLines(stdout)[0].blanks).toHaveLength(1);
    await succeed(["eval", at("masked"), "--adapter", run, "--data", other]);
  });

  it("is what --resume names for other settings", async () => {
    const sentence =
      /--lr cannot be combined with --resume, .* fine-tuning: longhand train --from .*base --data TEXT --lr 0.1$/;
    await fail(["train", "--resume", base, "--lr", "0.1"], 2, sentence);
    const ofData = new RegExp(`fine-tuning: longhand train --from ${base} --data ${other}$`);
    await fail(["train", "--resume", base, "--data", other], 2, ofData);
    const all = ["train", "--resume", base, "--batch", "8", "--carry", "--set", "training.maxSkips=9"];
    await fail(all, 2, /--from .*base --data TEXT --batch 8 --carry --set training.maxSkips=9$/);
    await fail(["train", "--resume", base, "--set", "model.width=8"], 2, /--set cannot be combined .* can change\)$/);
    await fail(["train", "--resume", base, "--preset", "tiny"], 2, /--preset cannot be combined .* can change\)$/);
  });

  it.each<[string, 1 | 2, RegExp]>([
    ["--preset tiny", 2, /--preset cannot be combined with --from: it is that of .*base; leave it out$/],
    ["--model transformer", 2, /--model cannot be combined with --from/],
    ["--vocab 400", 2, /--vocab cannot be combined with --from/],
    ["--tokenizer x", 2, /--tokenizer cannot be combined with --from/],
    ["--objective masked", 2, /--objective cannot be combined with --from/],
    ["--ablation softmax", 2, /--ablation cannot be combined with --from/],
    ["--set model.width=32", 2, /--set model.width cannot be combined with --from/],
    ["--set training.objective=masked", 2, /--set training.objective cannot be combined with --from/],
    ["--context 8", 2, /chunk \d+ does not fit a context of 8/],
    ["--freeze layers.7", 2, /--freeze layers.7: expected embedding, .*layers\.0-\d.* got layers.7$/],
    ["--freeze layers.0-9", 2, /--freeze layers.0-9: expected .*, got layers\.\d$/],
    ["--freeze layers.1-0", 2, /--freeze layers.1-0: expected the smaller number first/],
    ["--freeze embedding --adapter rank=2", 2, /--freeze cannot be combined with --adapter/],
    ["--adapter 8", 2, /--adapter 8: expected a rank from 1 to 4096/],
    ["--adapter rank=0", 2, /--adapter rank=0: expected a rank/],
    ["--adapter rank=2,beta=3", 2, /--adapter rank=2,beta=3: expected a rank/],
    ["--mix base/data=1", 2, /--mix: beside --data, expected shares of the examples that are less than 1 together/],
    [`--out ${base} --overwrite`, 2, /--out .*base: --from names the same folder/],
  ])("refuses %s", async (more, status, sentence) => {
    await fail([...from(at("refused")), ...more.split(" ")], status, sentence, { cwd: folder });
    expect(existsSync(at("refused"))).toBe(false);
  });

  it("refuses an adapter without a model, and a model that is none", async () => {
    await fail(["train", "--data", text, "--adapter", "rank=2"], 2, /--adapter: .* name that by --from$/, {
      cwd: folder,
    });
    await fail(["train", "--from", folder, "--data", text], 1, /is not a run folder: it has no config.json/, {
      cwd: folder,
    });
  });
});

describe("--freeze", { timeout: 120_000 }, () => {
  it("leaves what it names as it was, and works without a model to begin from", async () => {
    const run = at("anew");
    const { stderr } = await succeed([
      "train",
      "--data",
      text,
      "--out",
      run,
      ...tiny,
      "--steps",
      "3",
      "--freeze",
      "embedding",
    ]);
    expect(stderr).toMatch(/M parameters \(\d+ of them trained\)/);
    const names = (file: string) => Object.keys(header(bytesOf(run, 3, file)));
    expect(names("model.safetensors")).toContain("embedding.weight");
    expect(names("optimizer.safetensors").some((name) => name.includes("embedding"))).toBe(false);
    expect(tensor(bytesOf(run, 3), "embedding.weight")).toEqual(tensor(bytesOf(run, 0), "embedding.weight"));
    expect(tensor(bytesOf(run, 3), "logits.bias")).not.toEqual(tensor(bytesOf(run, 0), "logits.bias"));
  });
});

it.runIf(process.platform === "linux")(
  "a part is trained to the same bits with the optimiser's loops on threads and without them",
  async () => {
    const large =
      "--preset nano --context 64 --chunk 64 --batch 1 --vocab 400 --steps 4 --threads 3 --ema 0.9 --accumulate 2";
    const train = async (out: string, binding: string) => {
      const words = ["train", "--data", text, "--out", at(out), ...large.split(" "), "--freeze", "layers.0-1"];
      await succeed(words, { env: { LONGHAND_BINDING: binding } });
      return learnt(at(out), 4);
    };
    expect(await train("threads", "c-api")).toEqual(await train("no-threads", "node"));
  },
  120_000,
);

describe("--adapter", { timeout: 120_000 }, () => {
  const [one, two] = [at("one"), at("two")];
  const evaluate = async (...words: string[]) =>
    Number(jsonLines((await succeed(["eval", ...words, "--data", other, "--json"])).stdout)[0].loss);
  beforeAll(async () => {
    await succeed(from(one, "--adapter", "rank=2", "--lr", "0.02"));
    await succeed(from(two, "--adapter", "rank=1,alpha=2", "--lr", "0.02", "--seed", "2"));
  }, 60_000);

  it("is saved alone, beside one copy of the model", () => {
    const sizes = ["checkpoints/step-00000012/model.safetensors", "adapter.safetensors", "base.safetensors"].map(
      (name) => statSync(join(one, name)).size,
    );
    expect(sizes[0]).toBeLessThan(sizes[2] / 4);
    expect(sizes[1]).toBeLessThan(sizes[2] / 4);
    expect(Object.keys(treeOf(one)).filter((name) => name.endsWith("base.safetensors"))).toEqual(["base.safetensors"]);
  });

  it("works as the run, as its folder and as its file, and changes what the model says", async () => {
    const own = await evaluate(one);
    expect(own).toBeLessThan(await evaluate(base));
    expect(await evaluate(base, "--adapter", one)).toBe(own);
    cpSync(join(one, "adapter.safetensors"), at("alone.safetensors"));
    expect(await evaluate(base, "--adapter", at("alone.safetensors"))).toBe(own);
    const written = (...words: string[]) =>
      succeed(["generate", ...words, "The sea", "--temperature", "0", "--tokens", "20"]);
    expect((await written(base, "--adapter", one)).stdout).toBe((await written(one)).stdout);
  });

  it("is added to another one, in any order", async () => {
    const both = await evaluate(base, "--adapter", one, "--adapter", two);
    expect(Math.abs(both - (await evaluate(base, "--adapter", two, "--adapter", one)))).toBeLessThan(1e-5);
    expect(Math.abs(both - (await evaluate(one, "--adapter", two)))).toBeLessThan(1e-5);
    expect(both).not.toBe(await evaluate(one));
  });

  it("is of an export as well, and merged by one", async () => {
    const [exported, merged] = [at("exported"), at("merged")];
    await succeed(["export", base, "--out", exported]);
    expect(await evaluate(exported, "--adapter", one)).toBe(await evaluate(one));
    await succeed(["export", base, "--adapter", one, "--out", merged]);
    expect(await evaluate(merged)).toBe(await evaluate(one));
    await succeed(from(at("of-export"), "--steps", "1").map((word) => (word === base ? exported : word)));
    expect(bytesOf(at("of-export"), 0)).toEqual(bytesOf(base, 6));
    expect(config(at("of-export")).from.weights).toBe(config(one).from.weights);
  });

  it("can be trained on from, and goes on in a copy", async () => {
    await succeed(from(at("on")).map((word) => (word === base ? one : word)));
    expect(config(at("on")).from.path).toBe(one);
    await succeed(["train", "--resume", one, "--out", at("copy"), "--steps", "14"]);
    expect(await evaluate(at("copy"))).not.toBe(await evaluate(one));
  });

  it.each<[string, (file: string) => void, RegExp]>([
    ["cut short", (file) => truncateSync(file, statSync(file).size - 1), /adapter|header|cut short/],
    ["cut in its header", (file) => truncateSync(file, 100), /cut short/],
    ["with one bit flipped", (file) => flip(file, -10), /does not match its checksum: it was damaged/],
    ["with another rank", (file) => replaced(file, '"rank":"2"', '"rank":"3"'), /does not match its checksum/],
    ["that is a model", (file) => writeFileSync(file, bytesOf(base, 6)), /it is no adapter that Longhand has trained/],
    ["that is missing", (file) => rmSync(file), /it is missing/],
  ])("is refused %s", async (_, damage, sentence) => {
    const file = at("damaged.safetensors");
    cpSync(join(one, "adapter.safetensors"), file);
    damage(file);
    await fail(["generate", base, "x", "--adapter", file], 1, sentence);
  });

  it("is refused beside other parameters, and so is its run without those it was trained on", async () => {
    await fail(
      ["eval", at("whole"), "--adapter", one, "--data", other],
      1,
      /it was trained beside other parameters than/,
    );
    const moved = at("moved");
    cpSync(one, moved, { recursive: true });
    flip(join(moved, "base.safetensors"), -10);
    await fail(["generate", moved, "x"], 1, /base.safetensors: it does not hold the parameters that the adapter was/);
    rmSync(join(moved, "base.safetensors"));
    await fail(["train", "--resume", moved, "--steps", "20"], 1, /base.safetensors: it is missing/);
  });
});

function flip(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[bytes.length + at] ^= 1;
  writeFileSync(file, bytes);
}

function replaced(file: string, text: string, by: string): void {
  const bytes = readFileSync(file);
  bytes.write(by, bytes.indexOf(text));
  writeFileSync(file, bytes);
}

/** The header of a safetensors file. */
function header(bytes: Buffer): Record<string, { data_offsets: [number, number] }> {
  return JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE())).toString());
}

function tensor(bytes: Buffer, name: string): Buffer {
  const [begin, end] = header(bytes)[name].data_offsets;
  const data = bytes.subarray(8 + Number(bytes.readBigUInt64LE()));
  return data.subarray(begin, end);
}
