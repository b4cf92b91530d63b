/** Texts and run folders that cannot be used: exit status 1, one sentence, and nothing is created or lost. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { fail, longhand, sampleText, succeed, tiny, treeOf, workspace } from "./command.ts";

const { folder, text } = workspace();
const run = join(folder, "run");
const good = sampleText(70_000);
mkdirSync(join(folder, "no-texts"));
writeFileSync(join(folder, "empty.txt"), "");
writeFileSync(join(folder, "binary.txt"), `${good}\0${good}`);
writeFileSync(join(folder, "latin1.txt"), Buffer.concat([Buffer.from(good), Buffer.from("na\xefve", "latin1")]));
writeFileSync(join(folder, "cut.txt"), Buffer.from("to be sure\u2026").subarray(0, -1));
writeFileSync(join(folder, "utf16.txt"), Buffer.from(`\ufeff${good}`, "utf16le"));
writeFileSync(join(folder, "short.txt"), "Call me Ishmael.");
writeFileSync(join(folder, "just-short.txt"), good.slice(0, 80));

beforeAll(async () => {
  await succeed(["train", "--data", text, "--out", run, ...tiny, "--steps", "3"]);
}, 60_000);

const offset = Buffer.byteLength(good);

const texts: [string, RegExp][] = [
  ["missing.txt", /missing.txt does not exist; give a UTF-8 text file or a folder of them$/],
  ["empty.txt", /empty.txt is empty; give a file with some text$/],
  ["binary.txt", new RegExp(`binary.txt is binary \\(a NUL byte at offset ${offset}\\), not a text file$`)],
  ["latin1.txt", new RegExp(`latin1.txt is not UTF-8: invalid byte 0xef at offset ${offset + 2};`)],
  ["cut.txt", /cut.txt is not UTF-8: invalid byte 0xe2 at offset 10;/],
  ["utf16.txt", /utf16.txt is UTF-16, not UTF-8; convert it first/],
  ["no-texts", /no-texts contains no text files;/],
];

describe("a text that cannot be used", { timeout: 60_000 }, () => {
  it.concurrent.each([
    ...texts,
    ["short.txt", /short.txt gives \d+ tokens to learn, and a context of 64 needs at least 65; .*--context$/],
    ["just-short.txt", /just-short.txt gives \d+ tokens to learn, and a context of 64 needs at least 65;/],
  ] as typeof texts)("train --data %s", async (name, sentence) => {
    // The parents of the run folder are not left behind either.
    await fail(["train", "--data", name, "--out", `new-${name}/deep/run`, ...tiny], 1, sentence, { cwd: folder });
  });

  it.concurrent.each(texts.slice(0, 4))("train --eval-data %s", async (name, sentence) => {
    const args = ["train", "--data", text, "--eval-data", name, "--out", `held-${name}/deep/run`, ...tiny];
    await fail(args, 1, sentence, { cwd: folder });
  });

  it.concurrent.each(texts)("eval --data %s", async (name, sentence) => {
    await fail(["eval", run, "--data", name], 1, sentence, { cwd: folder });
  });

  it("does not cost the run that was to be overwritten", async () => {
    const before = treeOf(run);
    for (const name of ["missing.txt", "binary.txt", "short.txt"]) {
      await fail(["train", "--data", name, "--out", run, ...tiny, "--overwrite"], 1, /./, { cwd: folder });
      expect(treeOf(run)).toEqual(before);
    }
    await succeed(["train", "--data", text, "--out", run, ...tiny, "--steps", "2", "--overwrite"]);
    const after = Object.keys(treeOf(run));
    expect(after).toContain("checkpoints/step-00000002/");
    expect(after).not.toContain("checkpoints/step-00000003/");
  });

  it("is no prompt either", async () => {
    await fail(["generate", run, "-"], 1, /standard input is not UTF-8/, { input: Uint8Array.of(0x61, 0xff) });
  });
});

describe("a device that is not there", { timeout: 60_000 }, () => {
  it("is named before anything is written", async (context) => {
    const args = ["train", "--data", text, "--out", "cuda", ...tiny, "--device", "cuda", "--steps", "1"];
    const { status } = await longhand(args, { cwd: folder });
    if (status === 0) {
      rmSync(join(folder, "cuda"), { recursive: true });
      context.skip("this machine has one");
    }
    await fail(args, 1, /--device cuda: this machine cannot compute on it; use --device cpu/, { cwd: folder });
  });
});

describe("a folder that is no run", { timeout: 60_000 }, () => {
  it.concurrent.each(["nothing", "no-texts", "text.txt"])("%s", async (name) => {
    const sentence = new RegExp(`${name}.*`);
    const options = { cwd: folder };
    await fail(["eval", name, "--data", text], 1, sentence, options);
    await fail(["generate", name, "hi"], 1, sentence, options);
    await fail(["train", "--resume", name], 1, sentence, options);
  });
});

describe("all of that", () => {
  it("has written nothing", () => {
    const names = Object.keys(treeOf(folder)).filter((name) => !name.startsWith("run/"));
    const texts = ["binary", "cut", "empty", "just-short", "latin1", "short", "text", "utf16"].map(
      (name) => `${name}.txt`,
    );
    expect(names.sort()).toEqual([...texts, "no-texts/"].sort());
    expect(readFileSync(text, "utf8")).toBe(sampleText(30_000));
  });
});
