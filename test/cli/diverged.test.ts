/** Training that blows up: steps that are not finite are skipped and told, a few in a row end it, the last good model stays. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { fail, jsonLines, longhand, succeed, tiny, workspace } from "./command.ts";

const { folder, text } = workspace();
const trainInto = (run: string, ...more: string[]) => ["train", "--data", text, "--out", run, ...tiny, ...more];
const huge = ["--steps", "30", "--lr", "1e30", "--clip", "0"];
// From maps and a head at zero a first step, however large, leaves a loss that is finite.
const exploding = [...huge, "--optimizer", "adamw", "--set", "model.head=tied", "--set", "model.outputMaps=normal"];

describe("a training that diverges", { timeout: 60_000 }, () => {
  // With --save-every 1 it is asked to save the very parameters that have run away.
  it.each([100, 1])("skips, says so, and ends after five steps in a row: --save-every %i", async (saveEvery) => {
    const run = join(folder, `run-${saveEvery}`);
    const { stderr } = await fail(
      trainInto(run, ...exploding, "--save-every", String(saveEvery)),
      1,
      /5 steps in a row were not finite \(step 6: the loss is (NaN|Infinity)\)/,
    );
    for (const step of [2, 3, 4, 5, 6]) expect(stderr).toMatch(new RegExp(`^step ${step} skipped: the loss is `, "m"));
    const records = jsonLines(readFileSync(join(run, "metrics.jsonl"), "utf8"));
    expect(records.map(({ type, step }) => `${type} ${step}`)).toEqual(
      "checkpoint 0,train 1,skip 2,skip 3,skip 4,skip 5,skip 6".split(","),
    );
    expect(records[2].reason).toMatch(/^the loss is /);
    if (saveEvery === 1) expect(stderr).toMatch(/^warning: step 1 is not saved: .* not finite/m);
    expect(readdirSync(join(run, "checkpoints"))).toEqual(["step-00000000"]);
    await succeed(["generate", run, "It was", "--tokens", "2"]);
    await succeed(["eval", run, "--data", text]);
  });

  it("says so of a gradient that is not finite, where the loss still is: with Muon", async () => {
    const run = join(folder, "muon");
    const { stderr } = await fail(
      trainInto(run, ...huge, "--weight-decay", "0.01"),
      1,
      /5 steps in a row were not finite/,
    );
    expect(stderr).toMatch(/^step 2 skipped: the gradient norm is (NaN|Infinity)$/m);
    expect(readdirSync(join(run, "checkpoints"))).toEqual(["step-00000000"]);
  });

  it("counts the steps in a row across a stop and a resume", async () => {
    const run = join(folder, "resumed");
    const once = await longhand(trainInto(run, ...exploding));
    const again = await longhand(["train", "--resume", run]);
    expect([once.status, again.status]).toEqual([1, 1]);
    expect(again.stderr).toMatch(/5 steps in a row were not finite \(step 6/);
    const records = jsonLines(readFileSync(join(run, "metrics.jsonl"), "utf8"));
    expect(records.map(({ step }) => step)).toEqual([0, 1, 2, 3, 4, 5, 6]); // the second time in place of the first
  });

  it("ends at an evaluation that is not finite", async () => {
    const run = join(folder, "evaluated");
    await fail(trainInto(run, ...exploding, "--eval-every", "1"), 1, /evaluation: the loss over \d+ tokens is NaN/);
    expect(readdirSync(join(run, "checkpoints"))).toEqual(["step-00000000"]);
  });
});
