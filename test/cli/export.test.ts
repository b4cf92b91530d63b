/** Exports of a run: used like the run, replaced only when asked for, and told what is wrong with them when they are damaged. */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { fail, jsonLines, succeed, tiny, treeOf, workspace } from "./command.ts";

const { folder, text } = workspace();
const at = (name: string) => join(folder, name);
const [run, exported] = [at("run"), at("made/for/export")];
const few = ["--context", "64", "--batch", "2", "--steps", "4", "--threads", "1"];

beforeAll(async () => {
  await succeed(["train", "--data", text, "--out", run, ...tiny, "--steps", "4"]);
  await succeed(["train", "--data", text, "--out", at("masked"), ...tiny, "--steps", "2", "--objective", "masked"]);
  await succeed(["export", run, "--out", exported]);
}, 120_000);

describe("export", { timeout: 120_000 }, () => {
  it("writes a folder that is used like the run", async () => {
    expect(readdirSync(exported).sort()).toEqual(
      [
        ...["README.md", "config.json", "longhand_model.py", "model.safetensors", "tokenizer.json"],
        ...["decode.onnx", "prefill.onnx", "score.onnx"],
      ].sort(),
    );
    const checkpoint = readFileSync(join(run, "checkpoints", "step-00000004", "model.safetensors"));
    expect(readFileSync(join(exported, "model.safetensors")).equals(checkpoint)).toBe(true);
    for (const use of [
      ["generate", "It was", "--tokens", "20", "--temperature", "0"],
      ["eval", "--data", text],
    ]) {
      const [command, ...rest] = use;
      const outputs = [run, exported].map((model) => succeed([command, model, ...rest, "--threads", "1", "--json"]));
      const [of, ofExport] = (await Promise.all(outputs)).map(({ stdout }) => jsonLines(stdout)[0]);
      for (const result of [of, ofExport]) delete result.tokensPerSecond;
      expect(ofExport, command).toEqual(of);
    }
  });

  it("of a masked model fills in blanks", async () => {
    await succeed(["export", at("masked"), "--out", at("filling")]);
    const filled = [at("masked"), at("filling")].map((model) => succeed(["fill", model, "It was a [MASK] night."]));
    const [of, ofExport] = await Promise.all(filled);
    expect(ofExport.stdout).toBe(of.stdout);
  });

  it("of an export is that export, and says so as JSON", async () => {
    const { stdout } = await succeed(["export", exported, "--out", at("again"), "--json"]);
    const bytes = readFileSync(join(exported, "model.safetensors")).length;
    expect(jsonLines(stdout)).toMatchObject([{ out: at("again"), step: 4, files: { "model.safetensors": bytes } }]);
    expect(treeOf(at("again"))).toEqual(treeOf(exported));
  });

  it("is trained further, with an adapter too, which an export then has in its weights", async () => {
    const tuned = at("tuned");
    await succeed(["train", "--from", exported, "--data", text, "--out", tuned, "--adapter", "rank=2", ...few]);
    await succeed(["export", tuned, "--out", at("merged")]);
    await succeed(["export", exported, "--adapter", tuned, "--out", at("stacked")]);
    expect(treeOf(at("merged"))["model.safetensors"]).toBe(treeOf(at("stacked"))["model.safetensors"]);
    expect(treeOf(at("merged"))["model.safetensors"]).not.toBe(treeOf(exported)["model.safetensors"]);
  });

  it("prints what every format of weights costs on a text", async () => {
    const { stdout } = await succeed(["export", run, "--out", at("small"), "--weights", "int8", "--data", text]);
    const table = stdout.slice(stdout.indexOf("weights, size, perplexity"));
    expect(table).toMatch(/\n {2}float32 .*\n {2}float16 .*\n {2}int8 +[\d.]+ kB +[\d.]+ +[+−]0\.00\d+ +\S+\n$/);
  });

  it("refuses a folder that exists, and replaces an export when asked to", async () => {
    const place = at("place");
    await succeed(["export", exported, "--out", place]);
    writeFileSync(join(place, "README.md"), "mine");
    await fail(["export", run, "--out", place], 2, /--out .*place: this export exists; .* --overwrite$/);
    expect(readFileSync(join(place, "README.md"), "utf8")).toBe("mine");
    await succeed(["export", run, "--out", place, "--overwrite"]);
    expect(treeOf(place)).toEqual(treeOf(exported));
    await fail(["export", place, "--out", place, "--overwrite"], 2, /this is the model to be exported/);
    for (const other of [run, text, folder]) {
      await fail(["export", exported, "--out", other, "--overwrite"], 2, /exists and is no export of Longhand/);
    }
  });

  it("puts away what a killed export left beside its folder, and nothing else", async () => {
    const parent = at("parent");
    const [own, other] = [".model.tmp-999999999-00000000", ".other.tmp-999999999-00000000"];
    for (const name of [own, other]) mkdirSync(join(parent, name), { recursive: true });
    await succeed(["export", run, "--out", join(parent, "model")]);
    expect(readdirSync(parent).sort()).toEqual([other, "model"]);
  });

  it("needs a place, and a model", async () => {
    await fail(["export", run], 2, /--out is missing/);
    await fail(["export", at("nothing"), "--out", at("none")], 1, /nothing is not a run folder/);
    expect(existsSync(at("none"))).toBe(false);
  });
});

describe("a damaged export", { timeout: 120_000 }, () => {
  const flip = (file: string, place: number) => {
    const bytes = readFileSync(file);
    bytes[Math.floor(place * bytes.length)] ^= 1;
    writeFileSync(file, bytes);
  };
  it.each<[string, string, (file: string) => void, RegExp]>([
    ["missing", "model.safetensors", rmSync, /model\.safetensors: it is missing$/],
    ["missing", "tokenizer.json", rmSync, /tokenizer\.json: it is missing$/],
    ["cut", "model.safetensors", (file) => truncateSync(file, 1000), /: 1000 bytes long instead of \d+: it was cut/],
    [
      "cut",
      "tokenizer.json",
      (file) => truncateSync(file, 1000),
      /: 1000 bytes long instead of \d+: it was cut short$/,
    ],
    ["cut", "config.json", (file) => truncateSync(file, 100), /config\.json: it is not valid JSON/],
    ["changed in a bit", "model.safetensors", (file) => flip(file, 0.9), /it does not match its checksum/],
    ["changed in a bit", "tokenizer.json", (file) => flip(file, 0.5), /it does not match its checksum/],
    ["changed in a bit", "config.json", (file) => flip(file, 0.98), /config\.json: it does not match its own checksum/],
  ])("%s: %s", async (how, name, damage, sentence) => {
    const damaged = at(`${name}, ${how}`);
    cpSync(exported, damaged, { recursive: true });
    damage(join(damaged, name));
    await fail(["generate", damaged, "It was", "--tokens", "2"], 1, sentence);
    await fail(["export", damaged, "--out", at("never")], 1, sentence);
    expect(existsSync(at("never"))).toBe(false);
  });
});
