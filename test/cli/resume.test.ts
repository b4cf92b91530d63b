/** A training that is stopped or killed, at any moment, and gone on with is the training that was never interrupted. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { beforeAll, describe, expect, it } from "vitest";
import { fail, jsonLines, learnt, longhand, start, succeed, tiny, treeOf, workspace } from "./command.ts";

const { folder, text } = workspace();
const STEPS = 30;
const settings = ["--steps", String(STEPS), "--save-every", "1", "--eval-every", "10", "--schedule", "cosine"];
const trainInto = (run: string) => ["train", "--data", text, "--out", run, ...tiny, ...settings, "--json"];
const whole = join(folder, "whole");
/** As a user starts it: with the process between that switches huge pages on, where there are any. */
const asUser = { startsAgain: true };

beforeAll(async () => {
  await succeed(trainInto(whole));
}, 60_000);

const stepsOf = (run: string) => {
  const names = existsSync(join(run, "checkpoints")) ? readdirSync(join(run, "checkpoints")) : [];
  return names.filter((name) => /^step-\d{8}$/.test(name)).map((name) => Number(name.slice(5)));
};

/** Processes whose command line has this text. */
function processesNaming(text: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(text);
      } catch {
        return false; // it ended meanwhile
      }
    })
    .map(Number);
}

describe("--resume", { timeout: 120_000 }, () => {
  it.each(["SIGINT", "SIGTERM"] as const)("goes on bit for bit after %s, which saves first", async (signal) => {
    const run = join(folder, signal);
    const { child, ended, saw } = start(trainInto(run), asUser);
    await saw(/"type":"train","step":4,/);
    child.kill(signal);
    const { status, stdout, stderr } = await ended;
    expect(status).toBe(0);
    const end = jsonLines(stdout).at(-1);
    expect(end).toMatchObject({ type: "end", finished: false });
    const stopped = Number(end?.step);
    expect(stopped).toBeLessThan(STEPS);
    expect(stderr).toContain("stopping after this step and saving");
    expect(stderr).toContain(`stopped at step ${stopped}, saved: go on with  longhand train --resume ${run}`);
    expect(Math.max(...stepsOf(run))).toBe(stopped);
    expect(existsSync(join(run, ".lock"))).toBe(false);

    const { stderr: more } = await succeed(["train", "--resume", run], asUser);
    expect(more).toContain(`from step ${stopped}`);
    expect(learnt(run, STEPS)).toEqual(learnt(whole, STEPS));
  });

  it("goes on at once after kill -9 at any moment, as often as that happens", async () => {
    const run = join(folder, "killed");
    let running = start(trainInto(run), asUser);
    await running.saw(/"type":"checkpoint","step":0,/);
    let kills = 0;
    for (let delay = 0; delay < 300; delay += 43) {
      await pause(delay);
      const before = Math.max(...stepsOf(run));
      running.child.kill("SIGKILL");
      kills++;
      // At once: the next one waits for what the killed one may have left to die.
      running = start(["train", "--resume", run, "--json"], asUser);
      await running.saw(/"type":"start"/);
      const [first] = jsonLines(readFileSync(join(run, "metrics.jsonl"), "utf8"));
      expect(first).toMatchObject({ type: "checkpoint", step: 0 });
      expect(Math.max(...stepsOf(run))).toBeGreaterThanOrEqual(before); // nothing that was saved is lost
      if (Math.max(...stepsOf(run)) === STEPS) break;
    }
    expect(kills).toBeGreaterThan(1);
    expect(await running.ended).toMatchObject({ status: 0 });
    expect(learnt(run, STEPS)).toEqual(learnt(whole, STEPS));
    expect(readdirSync(run).filter((name) => name.startsWith("."))).toEqual([]);
    expect(readdirSync(join(run, "checkpoints")).filter((name) => name.startsWith("."))).toEqual([]);
  });

  it.runIf(process.platform !== "win32").each([
    ["SIGSEGV", "c-api", "node"],
    ["SIGABRT", "node", "c-api"],
  ] as const)(
    "goes on bit for bit after native code died by %s, from binding %s to %s",
    async (signal, first, second) => {
      const run = join(folder, signal);
      const { child, ended, saw } = start(trainInto(run), { env: { LONGHAND_BINDING: first } });
      await saw(/"type":"train","step":4,/);
      child.kill(signal);
      expect(await ended).toMatchObject({ status: null, signal });
      const reached = Math.max(...stepsOf(run));
      expect(reached).toBeGreaterThanOrEqual(3);
      const { stderr } = await succeed(["train", "--resume", run], { env: { LONGHAND_BINDING: second } });
      expect(stderr).toContain(`from step ${reached}`);
      expect(learnt(run, STEPS)).toEqual(learnt(whole, STEPS));
    },
  );

  it.runIf(process.platform === "linux")(
    "goes on bit for bit with loops on threads, without them, and on threads again after kill -9",
    async () => {
      const large = "--preset nano --context 64 --chunk 64 --batch 1 --vocab 400 --ema 0.9 --accumulate 2 --threads 3";
      const trainLarge = (run: string) => {
        return ["train", "--data", text, "--out", run, ...large.split(" "), ...settings, "--json", "--steps", "12"];
      };
      const [plain, run] = [join(folder, "plain-loops"), join(folder, "threads")];
      await succeed(trainLarge(plain), { env: { LONGHAND_BINDING: "node" } });
      const killed = async ({ child, ended, saw }: ReturnType<typeof start>, step: number) => {
        await saw(new RegExp(`"type":"train","step":${step},`));
        child.kill("SIGKILL");
        await ended;
      };
      await killed(start(trainLarge(run), { env: { LONGHAND_BINDING: "c-api" } }), 3);
      const resumed = (binding: string) =>
        start(["train", "--resume", run, "--json"], { env: { LONGHAND_BINDING: binding } });
      await killed(resumed("node"), 7);
      expect(await resumed("c-api").ended).toMatchObject({ status: 0 });
      expect(learnt(run, 12)).toEqual(learnt(plain, 12));
    },
  );

  it("refuses a binding that is none before anything is written", async () => {
    const run = join(folder, "binding");
    await fail(trainInto(run), 2, /LONGHAND_BINDING=wasm: expected c-api or node/, {
      env: { LONGHAND_BINDING: "wasm" },
    });
    expect(existsSync(run)).toBe(false);
  });

  it.runIf(process.platform === "linux")(
    "leaves no process behind a parent that was killed, however early",
    async () => {
      const run = join(folder, "early");
      for (const delay of [60, 120, 200, 280, 360, 440]) {
        const { child, ended } = start(["train", "--data", text, "--out", run, ...tiny, "--steps", "1000000"], asUser);
        await pause(delay);
        child.kill("SIGKILL");
        await ended; // its output is closed: whoever held it is gone
        for (let i = 0; i < 40 && processesNaming(run).length > 0; i++) await pause(50);
        expect(processesNaming(run)).toEqual([]);
        if (existsSync(join(run, "config.json"))) break; // a run: the same command would be refused now
      }
      const again = existsSync(join(run, "config.json")) ? ["--overwrite"] : [];
      await succeed(["train", "--data", text, "--out", run, ...tiny, "--steps", "1", ...again]);
      expect(readdirSync(run).filter((name) => name.startsWith("."))).toEqual([]);
    },
  );

  it("lets one training at a time into a folder", async () => {
    const run = join(folder, "busy");
    const { child, ended, saw } = start(["train", "--data", text, "--out", run, ...tiny, "--steps", "1000000"]);
    await saw(/to learn/);
    const tokenizer = readFileSync(join(run, "tokenizer.json"), "utf8");
    for (const args of [
      ["--resume", run],
      ["--data", text, "--out", run, "--overwrite"],
    ]) {
      const { status, stderr } = await longhand(["train", ...args]);
      expect([status, stderr]).toEqual([
        2,
        expect.stringMatching(/^longhand: .*busy: process \d+ is training in this folder; wait for it or stop it/),
      ]);
    }
    expect(readFileSync(join(run, "tokenizer.json"), "utf8")).toBe(tokenizer);
    expect(stepsOf(run)).not.toEqual([]);
    child.kill("SIGINT");
    expect(await ended).toMatchObject({ status: 0 });
  });

  it("says so when there is nothing left to do, and trains further with --steps", async () => {
    const run = join(folder, "longer");
    await succeed(["train", "--data", text, "--out", run, ...tiny, "--steps", "3"]);
    const before = treeOf(join(run, "checkpoints"));
    expect((await succeed(["train", "--resume", run])).stderr).toContain("finished at step 3");
    expect(treeOf(join(run, "checkpoints"))).toEqual(before);
    await succeed(["train", "--resume", run, "--steps", "5"]);
    expect(stepsOf(run).sort()).toEqual([0, 3, 5]);
    expect(JSON.parse(readFileSync(join(run, "config.json"), "utf8")).training.steps).toBe(5);
  });
});
