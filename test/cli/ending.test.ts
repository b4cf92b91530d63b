/** How a run ends: cooled down from any step, gone on with beside what it has become, and updated by Muon. */
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { jsonLines, longhand, start, succeed, tiny, workspace } from "./command.ts";

const { folder, text } = workspace();
const stable = ["--schedule", "constant", "--warmup", "2", "--eval-every", "100"];
const RATE = 1e-2; // the default of muon
const trainInto = (run: string, ...more: string[]) => ["train", "--data", text, "--out", run, ...tiny, ...more];
const checkpointsOf = (run: string) => readdirSync(join(run, "checkpoints")).sort();
const bytesOf = (run: string, step: number, file: string) =>
  readFileSync(join(run, "checkpoints", `step-${String(step).padStart(8, "0")}`, file));
const lossesOf = (run: string, of: "train" | "eval") =>
  jsonLines(readFileSync(join(run, "metrics.jsonl"), "utf8"))
    .filter(({ type }) => type === of)
    .map(({ loss }) => loss);
const ratesOf = (run: string) =>
  jsonLines(readFileSync(join(run, "metrics.jsonl"), "utf8"))
    .filter(({ type }) => type === "train")
    .map(({ learningRate }) => learningRate as number);

describe("a cool-down", { timeout: 120_000 }, () => {
  const run = join(folder, "stable");
  const longer = join(folder, "longer");

  it("ends a run of constant rate in so many steps from where it is, and keeps where it began", async () => {
    await succeed(trainInto(run, ...stable, "--steps", "6", "--save-every", "3", "--keep", "1"));
    await succeed(["train", "--resume", run, "--cooldown", "4"]);
    const rates = ratesOf(run);
    expect(rates).toHaveLength(10);
    expect(new Set(rates.slice(2, 6))).toEqual(new Set([RATE]));
    expect(rates.slice(6).map((rate) => Number((rate / RATE).toFixed(4)))).toEqual([0.5, 0.2929, 0.134, 0]);
    expect(checkpointsOf(run)).toEqual(["step-00000006", "step-00000010"]);
  });

  it("is not gone on from in the same folder, but beside it, from the step before it, with the same bits", async () => {
    const refused = await longhand(["train", "--resume", run, "--steps", "20"]);
    expect([refused.status, refused.stderr]).toEqual([
      2,
      expect.stringContaining(`${run} has cooled down since step 6; to go on from there, beside it, give --out`),
    ]);
    const config = JSON.parse(readFileSync(join(run, "config.json"), "utf8"));
    expect(config.training).toMatchObject({ steps: 10, schedule: { cooldown: 4 } });
    await succeed(["train", "--resume", run, "--out", longer, "--steps", "14"]);
    expect(checkpointsOf(run)).toEqual(["step-00000006", "step-00000010"]);
    const whole = join(folder, "whole");
    await succeed(trainInto(whole, ...stable, "--steps", "14", "--cooldown", "4"));
    for (const file of ["model.safetensors", "optimizer.safetensors"])
      expect(bytesOf(longer, 14, file).equals(bytesOf(whole, 14, file))).toBe(true);
    expect(ratesOf(longer)).toEqual(ratesOf(whole));
  });

  it("cuts a linear decay short from the rate that it had reached", async () => {
    const linear = join(folder, "linear");
    await succeed(trainInto(linear, "--steps", "10", "--warmup", "0", "--eval-every", "100", "--save-every", "4"));
    // As if it had been stopped after step 4.
    for (const step of ["08", "10"]) rmSync(join(linear, "checkpoints", `step-000000${step}`), { recursive: true });
    const cut = join(folder, "cut");
    await succeed(["train", "--resume", linear, "--cooldown", "2", "--out", cut]);
    const rates = ratesOf(cut);
    expect(rates.slice(0, 4)).toEqual(ratesOf(linear).slice(0, 4));
    expect(rates.slice(3).map((rate) => Number((rate / RATE).toFixed(4)))).toEqual([0.6, 0.1757, 0]);
  });

  it.each([
    ["stable", ["--cooldown", "0"], "--cooldown 0: expected a whole number of at least 1"],
    ["linear", ["--cooldown", "5", "--steps", "6"], "is already at step 4; give --steps of at least 9"],
    ["stable", ["--out", join(folder, "stable")], "this folder exists and is not empty"],
    ["stable", ["--lr", "1e-3"], "--lr cannot be combined with --resume"],
  ] as const)("refuses for the run %s %j with a sentence", async (name, flags, message) => {
    const { status, stderr } = await longhand(["train", "--resume", join(folder, name), ...flags]);
    expect(status).toBe(2);
    expect(stderr).toContain(message);
  });

  it("refuses one that is longer than the run", async () => {
    const { status, stderr } = await longhand(trainInto(join(folder, "none"), "--steps", "3", "--cooldown", "4"));
    expect([status, stderr]).toEqual([2, expect.stringContaining("--cooldown 4: it exceeds the 3 steps")]);
  });
});

describe("a moving average of the parameters", { timeout: 60_000 }, () => {
  it("is what is saved as the model, and resumes with the same bits", async () => {
    const flags = ["--ema", "0.9", "--steps", "6", "--eval-every", "3", "--schedule", "constant"];
    const whole = join(folder, "ema");
    const parts = join(folder, "ema-parts");
    const plain = join(folder, "ema-without");
    await succeed(trainInto(whole, ...flags));
    await succeed(trainInto(parts, ...flags, "--steps", "3"));
    await succeed(["train", "--resume", parts, "--steps", "6"]);
    await succeed(trainInto(plain, ...flags, "--ema", "0"));
    for (const file of ["model.safetensors", "optimizer.safetensors"])
      expect(bytesOf(parts, 6, file).equals(bytesOf(whole, 6, file))).toBe(true);
    expect(bytesOf(whole, 6, "model.safetensors").equals(bytesOf(plain, 6, "model.safetensors"))).toBe(false);
    // Training itself does not see the average.
    expect(lossesOf(whole, "train")).toEqual(lossesOf(plain, "train"));
    expect(lossesOf(whole, "eval")).not.toEqual(lossesOf(plain, "eval"));
    const { stdout } = await succeed(["eval", whole, "--data", text, "--json"]);
    const again = await succeed(["eval", plain, "--data", text, "--json"]);
    expect(jsonLines(stdout)[0].loss).not.toBe(jsonLines(again.stdout)[0].loss);
  });
});

describe("Muon", { timeout: 60_000 }, () => {
  it("resumes with the same bits, and saves no second moments of the maps that it updates", async () => {
    const flags = ["--optimizer", "muon", "--steps", "6", "--eval-every", "100", "--schedule", "constant"];
    const whole = join(folder, "muon");
    const parts = join(folder, "muon-parts");
    await succeed(trainInto(whole, ...flags));
    await succeed(trainInto(parts, ...flags, "--steps", "3"));
    await succeed(["train", "--resume", parts, "--steps", "6"]);
    for (const file of ["model.safetensors", "optimizer.safetensors"])
      expect(bytesOf(parts, 6, file).equals(bytesOf(whole, 6, file))).toBe(true);
    const moments = bytesOf(whole, 6, "optimizer.safetensors").toString("latin1");
    expect(moments).toContain("m.layers.0.hidden.weight");
    expect(moments).not.toContain("v.layers.0.hidden.weight");
    expect(moments).toContain("v.layers.0.hidden.bias");
  });
});

describe("--lr auto", { timeout: 120_000 }, () => {
  it("finds a rate, tells and saves it, and trains with it", async () => {
    const run = join(folder, "auto");
    const { stderr } = await succeed(trainInto(run, "--lr", "auto", "--steps", "6", "--eval-every", "100"));
    expect(stderr).toMatch(/looking for a learning rate: at most 5 trainings of 40 steps, 3333 % of the steps/);
    const { rate, trials } = JSON.parse(readFileSync(join(run, "rate-search.json"), "utf8"));
    expect(stderr).toContain(`learning rate ${rate}`);
    const best = trials.toSorted((a: { loss: number }, b: { loss: number }) => a.loss - b.loss)[0];
    expect(best.rate).toBe(rate);
    const config = JSON.parse(readFileSync(join(run, "config.json"), "utf8"));
    expect(config.training.schedule).toMatchObject({ peak: rate, search: false });
    expect(Math.max(...ratesOf(run))).toBe(rate);
    // The training itself is that of the same rate given by hand.
    const given = join(folder, "given");
    await succeed(trainInto(given, "--lr", String(rate), "--steps", "6", "--eval-every", "100"));
    expect(lossesOf(run, "train")).toEqual(lossesOf(given, "train"));
  });

  it("searches again when it was stopped before it was found", async () => {
    const run = join(folder, "auto-stopped");
    const flags = ["--lr", "auto", "--steps", "6000", "--eval-every", "10000", "--json"];
    const running = start(trainInto(run, ...flags));
    await running.saw(/"type":"rate-search"/);
    running.child.kill("SIGTERM");
    expect((await running.ended).status).toBe(0);
    const config = JSON.parse(readFileSync(join(run, "config.json"), "utf8"));
    expect(config.training.schedule.search).toBe(true);
    const again = start(["train", "--resume", run]);
    await again.saw(/looking for a learning rate/);
    again.child.kill("SIGKILL");
    await again.ended;
  });

  it("refuses what is neither", async () => {
    const { status, stderr } = await longhand(trainInto(join(folder, "no"), "--lr", "quick"));
    expect([status, stderr]).toEqual([2, expect.stringContaining(`--lr "quick": expected a number above 0, or auto`)]);
  });
});
