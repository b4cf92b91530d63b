/** `--documents separate` on short documents: trained, gone on with, evaluated; and what runs from before are. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { fail, jsonLines, learnt, sampleText, succeed, tiny, workspace } from "./command.ts";

const { folder } = workspace();
const short = "--set model.layers=1 --set model.width=32 --context 64 --batch 2 --vocab 300 --threads 1".split(" ");
const softmax = ["--model", "transformer++", "--set", "model.heads=2", "--set", "model.ffn=32", ...short];

/** A file of JSON lines, a document each. */
function write(name: string, documents: readonly string[]): string {
  const path = join(folder, name);
  writeFileSync(path, documents.map((text) => `${JSON.stringify({ text })}\n`).join(""));
  return path;
}

const lengths = [90, 15, 160, 40];
const documents: string[] = [];
for (let from = 0, all = sampleText(20_000); from < all.length; from += lengths[documents.length % 4]) {
  documents.push(all.slice(from, from + lengths[documents.length % 4]));
}
const data = write("documents.jsonl", documents);
const few = write("few.jsonl", documents.slice(0, 6));
const turned = write("turned.jsonl", documents.slice(0, 6).reverse());

const trainInto = (run: string, steps: number, ...more: string[]) =>
  succeed(["train", "--data", data, "--out", join(folder, run), "--steps", String(steps), "--warmup", "2", ...more]);
const constant = ["--schedule", "constant", "--lr", "0.01"];
const configOf = (run: string) => JSON.parse(readFileSync(join(folder, run, "config.json"), "utf8"));
const lossOf = async (run: string, text: string) => {
  const { stdout } = await succeed(["eval", join(folder, run), "--data", text, "--context", "600", "--json"]);
  return jsonLines(stdout)[0] as { loss: number; tokens: number };
};

describe("--documents", { timeout: 60_000 }, () => {
  beforeAll(async () => {
    const apart = ["--documents", "separate", "--accumulate", "2"];
    await Promise.all([
      trainInto("whole", 6, ...tiny, ...constant, ...apart),
      trainInto("parts", 3, ...tiny, ...constant, ...apart),
      trainInto("joined", 6, ...tiny, ...constant, "--accumulate", "2"),
    ]);
    await trainInto("softmax", 20, ...softmax, ...constant, "--documents", "separate");
    await trainInto("softmax-joined", 20, ...softmax, ...constant);
  }, 60_000);

  it("is saved, changes what is learnt, and goes on bit for bit", async () => {
    expect(["whole", "joined"].map((run) => configOf(run).training.documents)).toEqual(["separate", "joined"]);
    await succeed(["train", "--resume", join(folder, "parts"), "--steps", "6"]);
    const [whole, parts, joined] = ["whole", "parts", "joined"].map((run) => learnt(join(folder, run), 6));
    expect([parts.losses, parts.model, parts.optimizer]).toEqual([whole.losses, whole.model, whole.optimizer]);
    expect(parts.evaluations.at(-1)).toEqual(whole.evaluations.at(-1));
    expect(joined.losses[0]).not.toEqual(whole.losses[0]);
  });

  it("makes an evaluation that does not depend on the order of documents", async () => {
    const [one, two] = [await lossOf("softmax", few), await lossOf("softmax", turned)];
    expect(two.tokens).toBe(one.tokens);
    expect(two.loss).toBeCloseTo(one.loss, 5);
    const other = await lossOf("softmax-joined", few);
    expect(Math.abs((await lossOf("softmax-joined", turned)).loss - other.loss)).toBeGreaterThan(1e-4);
  });

  it("holds for masked models, with layers computed again", async () => {
    await trainInto("masked", 2, ...tiny, "--objective", "masked", "--documents", "separate", "--recompute", "layers");
    const { loss, tokens } = await lossOf("masked", few);
    expect(loss).toBeLessThan(2 * Math.log(300));
    expect(tokens).toBeGreaterThan(10);
    await succeed(["fill", join(folder, "masked"), "Call me [MASK]."]);
  });

  it("is joined for a run from before there was a choice", async () => {
    await trainInto("old", 3, ...tiny, ...constant, "--accumulate", "2");
    const file = join(folder, "old", "config.json");
    const { training, ...config } = configOf("old");
    const { documents, ...others } = training;
    expect(documents).toBe("joined");
    writeFileSync(file, JSON.stringify({ ...config, training: others }));
    await succeed(["train", "--resume", join(folder, "old"), "--steps", "6"]);
    expect(learnt(join(folder, "old"), 6).model).toBe(learnt(join(folder, "joined"), 6).model);
  });

  it("names its values, and is the run's own when it is gone on with", async () => {
    await fail(["train", "--data", data, "--documents", "seperate"], 2, /--documents "seperate": .*separate\?/);
    const sentence = /--documents cannot be combined with --resume/;
    await fail(["train", "--resume", join(folder, "whole"), "--documents", "joined"], 2, sentence);
  });
});
