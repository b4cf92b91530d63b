/** `mpirun -n N longhand train`: real processes train as one process does, stop and go on, in any number. */
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { jsonLines, learnt, sampleText, succeed, tiny, workspace } from "../cli/command.ts";
import { expectClose } from "../support/compare.ts";
import { checkpointsOf, launchers, processOf, startJob, without } from "./jobs.ts";

const { folder, text } = workspace();
const run = (name: string) => join(folder, name);
// Each example goes on where an earlier one ended, in lanes of each corpus; six examples a step.
const other = join(folder, "other.txt");
writeFileSync(other, sampleText(60_000).slice(30_000));
const mixture = ["--mix", `${text}=2`, `${other}=1`, "--carry", "--carry-every", "2"];
const step = ["--batch", "2", "--accumulate", "3", "--steps", "6", "--save-every", "3", "--eval-every", "3"];
const settings = [...mixture, ...tiny, ...step];

async function succeedAsJob(size: number, args: readonly string[], options: Parameters<typeof startJob>[2] = {}) {
  const result = await startJob(size, args, options).ended;
  expect(result, `${size} processes: longhand ${args.join(" ")}`).toMatchObject({ status: 0 });
  return result;
}

const lossesOf = (name: string) => learnt(run(name), 6).losses.map(([, loss]) => loss as number);
const evaluationsOf = (name: string) => learnt(run(name), 6).evaluations.map(([, loss]) => loss as number);
const placeOf = (name: string) => {
  const state = readFileSync(join(run(name), "checkpoints", "step-00000006", "state.json"), "utf8");
  const { data, positions } = JSON.parse(state).state;
  return { data, positions };
};

function expectSameTraining(name: string): void {
  const losses = lossesOf(name);
  expectClose([losses[0]], [lossesOf("one")[0]], { name: "first loss", tolerance: 1e-6 });
  expectClose(losses, lossesOf("one"), { name: "losses", tolerance: 1e-4 });
  expectClose(evaluationsOf(name), evaluationsOf("one"), { name: "held-out losses", tolerance: 1e-4 });
  expect(placeOf(name)).toEqual(placeOf("one"));
}

describe.skipIf(launchers.mpich === undefined)(`under MPICH${without(launchers.mpich)}`, { timeout: 120_000 }, () => {
  beforeAll(async () => {
    await succeed(["train", "--out", run("one"), ...settings]);
  }, 60_000);

  it("three processes have the losses of one, and one of them tells and writes", async () => {
    const args = ["train", "--out", run("three"), ...settings, "--compare-every", "1", "--sample", "It was", "--json"];
    const { stdout, stderr } = await succeedAsJob(3, args, { startsAgain: true });
    expectSameTraining("three");
    const events = jsonLines(stdout);
    expect(events.filter(({ type }) => type === "start")).toHaveLength(1);
    expect(events.filter(({ type }) => type === "sample")).toHaveLength(2);
    expect(events.at(-1)).toMatchObject({ type: "end", finished: true, step: 6 });
    expect(stderr.match(/^finished at step 6/gm)).toHaveLength(1);
    expect(readFileSync(join(run("three"), "metrics.jsonl"), "utf8").trimEnd()).toMatch(/"finished","step":6\}$/);
  });

  it("a run goes on bit for bit in as many processes, and with the same examples in fewer or more", async () => {
    await succeedAsJob(2, ["train", "--out", run("two"), ...settings]);
    expectSameTraining("two");
    const half = (name: string) => {
      cpSync(run("two"), run(name), { recursive: true });
      rmSync(join(run(name), "checkpoints", "step-00000006"), { recursive: true });
      return ["train", "--resume", run(name)];
    };
    await succeedAsJob(2, [...half("again"), "--shard", "optimizer"]); // which changes no bit
    expect(learnt(run("again"), 6)).toEqual(learnt(run("two"), 6));
    await succeed(half("fewer"));
    await succeedAsJob(3, half("more"));
    for (const name of ["fewer", "more"]) expectSameTraining(name);
  });

  it("all stop and save when one of them is asked to", async () => {
    const stopped = run("stopped");
    const job = startJob(2, ["train", "--out", stopped, ...settings, "--steps", "100000"]);
    await job.saw(/step 3: held-out/);
    process.kill(processOf(stopped, 1), "SIGTERM");
    const { status, stderr } = await job.ended;
    expect(status).toBe(0);
    const [last] = checkpointsOf(stopped).slice(-1);
    expect(stderr).toContain(`stopped at step ${last}, saved: go on with  longhand train --resume ${stopped}`);
  });
});

describe.skipIf(launchers.openMpi === undefined)(`under Open MPI${without(launchers.openMpi)}`, () => {
  it("two processes have the losses of one", { timeout: 60_000 }, async () => {
    const plain = ["--data", text, ...tiny, ...step];
    await succeed(["train", "--out", run("plain"), ...plain]);
    const asUser = { launcher: launchers.openMpi, startsAgain: true };
    const { stderr } = await succeedAsJob(2, ["train", "--out", run("open"), ...plain], asUser);
    expect(stderr.match(/^finished at step 6/gm)).toHaveLength(1);
    expectClose(lossesOf("open"), lossesOf("plain"), { name: "losses", tolerance: 1e-4 });
    expectClose(lossesOf("open").slice(0, 1), lossesOf("plain").slice(0, 1), { name: "first loss", tolerance: 1e-6 });
  });
});
