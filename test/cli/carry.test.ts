/** `train --carry` and `eval --whole`: trained, gone on with, measured, refused. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { fail, jsonLines, learnt, sampleText, succeed, tiny, workspace } from "./command.ts";

const { folder, text } = workspace();
const lengths = [700, 90, 2500, 40];
const documents: string[] = [];
for (let from = 0, all = sampleText(20_000); from < all.length; from += lengths[documents.length % 4]) {
  documents.push(all.slice(from, from + lengths[documents.length % 4]));
}
const several = join(folder, "several.jsonl");
writeFileSync(several, documents.map((text) => `${JSON.stringify({ text })}\n`).join(""));

const runOf = (name: string) => join(folder, name);
const settings = ["--eval-every", "3", "--warmup", "2", "--schedule", "constant", "--lr", "0.01", "--accumulate", "2"];
const mixture = ["--mix", `${text}=2`, `${several}=1`, ...tiny, ...settings];
const carry = ["--carry", "--carry-every", "2"];
const trainInto = (name: string, steps: number, ...more: string[]) =>
  succeed(["train", "--out", runOf(name), "--steps", String(steps), ...more]);
const checkpointOf = (name: string, step: number) =>
  join(runOf(name), "checkpoints", `step-${String(step).padStart(8, "0")}`);
const carriedOf = (name: string, step: number) => {
  const bytes = readFileSync(join(checkpointOf(name, step), "carried.safetensors"));
  return createHash("sha256").update(bytes).digest("hex");
};
const stateOf = (name: string, step: number) =>
  JSON.parse(readFileSync(join(checkpointOf(name, step), "state.json"), "utf8")).state;
const configOf = (name: string) => JSON.parse(readFileSync(join(runOf(name), "config.json"), "utf8"));

interface Measured {
  readonly loss: number;
  readonly tokens: number;
  readonly context: number;
  readonly documents: number;
  readonly byPosition: readonly { readonly from: number; readonly to: number; readonly tokens: number }[];
  readonly withoutDistant: { readonly loss: number };
  readonly windows: { readonly loss: number; readonly context: number };
}
const evaluate = async (name: string, data: string, ...more: string[]) => {
  const { stdout } = await succeed(["eval", runOf(name), "--data", data, "--json", ...more]);
  return jsonLines(stdout)[0] as unknown as Measured;
};

describe("--carry", { timeout: 60_000 }, () => {
  beforeAll(async () => {
    const { stderr } = await trainInto("whole", 6, ...mixture, ...carry);
    expect(stderr).toMatch(/of the examples from text: \d+ tokens in 8 stretches of \d+ tokens, /);
    await trainInto("parts", 3, ...mixture, ...carry);
    await trainInto("apart", 6, ...mixture, ...carry, "--documents", "separate");
    await trainInto("apart-parts", 3, ...mixture, ...carry, "--documents", "separate");
    await trainInto("shuffled", 6, ...mixture);
  }, 120_000);

  it.each([
    ["joined", "whole", "parts"],
    ["separate", "apart", "apart-parts"],
  ])("goes on bit for bit in a mixture, documents %s", async (kind, whole, parts) => {
    expect(configOf(parts).training).toMatchObject({ carry: true, carryEvery: 2, documents: kind });
    await succeed(["train", "--resume", runOf(parts), "--steps", "6"]);
    expect(learnt(runOf(parts), 6)).toEqual(learnt(runOf(whole), 6));
    expect(carriedOf(parts, 6)).toBe(carriedOf(whole, 6));
    const { seconds: _, ...state } = stateOf(parts, 6);
    expect(stateOf(whole, 6)).toMatchObject(state);
    expect(state.data.lanes.map((lanes: number[]) => lanes.length)).toEqual([8, 8]);
    expect(state.positions).toHaveLength(16);
    expect(Math.max(...state.positions)).toBeGreaterThan(64);
  });

  it("learns other than from windows in random order, whose checkpoints are what they were", () => {
    expect(learnt(runOf("whole"), 6).losses).not.toEqual(learnt(runOf("shuffled"), 6).losses);
    expect(configOf("shuffled").training.carry).toBe(false);
    expect(existsSync(join(checkpointOf("shuffled", 6), "carried.safetensors"))).toBe(false);
    const { data, ...state } = stateOf("shuffled", 6);
    expect(Object.keys(state)).toEqual(["updates", "skippedInRow", "seconds"]);
    expect(Object.keys(data)).toEqual(["examples", "drawn", "tokens", "digests"]);
  });

  it("is off for a run from before there was a choice", async () => {
    await trainInto("old", 3, ...mixture);
    const { training, ...config } = configOf("old");
    const { carry: _, carryEvery: __, ...others } = training;
    writeFileSync(join(runOf("old"), "config.json"), JSON.stringify({ ...config, training: others }));
    await succeed(["train", "--resume", runOf("old"), "--steps", "6"]);
    expect(learnt(runOf("old"), 6).model).toBe(learnt(runOf("shuffled"), 6).model);
  });

  it("goes back to the checkpoint before one that has lost its states", async () => {
    await trainInto("lost", 3, ...mixture, ...carry, "--save-every", "1");
    rmSync(join(checkpointOf("lost", 3), "carried.safetensors"));
    const { stderr } = await succeed(["train", "--resume", runOf("lost"), "--steps", "6"]);
    expect(stderr).toMatch(/skipping a damaged checkpoint: .*carried\.safetensors/);
    expect(learnt(runOf("lost"), 6).model).toBe(learnt(runOf("whole"), 6).model);
    expect(carriedOf("lost", 6)).toBe(carriedOf("whole", 6));
  });

  it("measures its runs by whole documents, and in windows when asked for", async () => {
    const [own, whole, windows] = await Promise.all([
      evaluate("whole", several),
      evaluate("whole", several, "--whole"),
      evaluate("whole", several, "--context", "64"),
    ]);
    expect(own).toMatchObject({ loss: whole.loss, tokens: whole.tokens, byPosition: whole.byPosition, carried: true });
    expect(windows.loss).toBe(whole.windows.loss);
    expect(Math.abs(windows.loss - own.loss)).toBeGreaterThan(1e-6);
  });

  const train = ["train", "--data", "TEXT", "--out", join(folder, "none"), "--carry"];
  const refused = (name: string, ...more: string[]) =>
    fail(train.map((word) => word.replace("TEXT", text)).concat(more), 2, new RegExp(`^longhand: (--carry: )?${name}`));

  it("is refused where nothing can be carried on, in one sentence", async () => {
    const can = "cannot go on from window to window of a text; flash and mc-tfm\\+\\+ can$";
    await refused(`transformer\\+\\+ ${can}`, "--model", "transformer++");
    await refused(`flash-quad ${can}`, "--model", "flash-quad");
    await refused("expected the causal objective, got masked", "--objective", "masked");
    await refused(
      "expected a context that is a multiple of the chunk, 16, got 72; give --context 80$",
      ...tiny,
      "--context",
      "72",
    );
    expect(existsSync(join(folder, "none"))).toBe(false);
    const sentence = /--carry cannot be combined with --resume/;
    await fail(["train", "--resume", runOf("shuffled"), "--carry"], 2, sentence);
  });

  it("says how many tokens its lanes need", async () => {
    const sentence =
      /gives \d+ tokens to learn, and --carry over 400 lanes with a context of 64 needs at least 25600; give more text or a smaller --context, --batch or --carry-every$/;
    const args = ["train", "--data", text, "--out", join(folder, "none"), "--carry", ...tiny, "--batch", "50"];
    await fail(args, 1, sentence);
    expect(existsSync(join(folder, "none"))).toBe(false);
  });
});

describe("--whole", { timeout: 60_000 }, () => {
  it("reads every document of any run of such a model, and says what its distant half is worth", async () => {
    const { byPosition, ...result } = await evaluate("shuffled", several, "--whole", "--context", "32");
    expect(result).toMatchObject({ documents: documents.length, windows: { context: 32 } });
    expect(byPosition.reduce((sum, { tokens }) => sum + tokens, 0)).toBe(result.tokens);
    expect(byPosition[0]).toMatchObject({ from: 0, to: 1, tokens: documents.length });
    expect(result.withoutDistant.loss).not.toBe(result.loss);
    const { stdout } = await succeed(["eval", runOf("shuffled"), "--data", text, "--whole"]);
    expect(stdout).toMatch(/^loss \d\.\d{4} nats a token over \d+ tokens, one whole document$/m);
    expect(stdout).toMatch(/^without the distant half: perplexity [\d.]+ \([+−]\d\.\d{4} nats a token\)$/m);
    expect(stdout).toMatch(
      /^in windows of 64 that each begin anew: perplexity [\d.]+ \([+−]\d\.\d{4} nats a token\)$/m,
    );
    expect(stdout).toMatch(/^ {2}16384–32767( +[\d.]+){3}$/m);
  });

  it("is refused for other models, in one sentence", async () => {
    const small = "--set model.layers=1 --set model.width=32 --context 64 --batch 2 --vocab 300 --threads 1 --steps 2";
    const softmax = [
      "--model",
      "transformer++",
      "--set",
      "model.heads=2",
      "--set",
      "model.ffn=32",
      ...small.split(" "),
    ];
    await trainInto("softmax", 2, "--data", text, ...softmax);
    await trainInto("masked", 2, "--data", text, ...tiny, "--objective", "masked");
    const whole = (name: string) => ["eval", runOf(name), "--data", text, "--whole"];
    await fail(whole("softmax"), 2, /--whole: transformer\+\+ cannot go on .*; flash and mc-tfm\+\+ can$/);
    await fail(whole("masked"), 2, /expected the causal objective, got masked/);
  });
});
