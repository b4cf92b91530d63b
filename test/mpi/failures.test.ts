/** What goes wrong with one process of a job ends it with a status that is not 0 and one sentence, and the run goes on from there. */
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Finished, fail, succeed, tiny, workspace } from "../cli/command.ts";
import { checkpointsOf, launchers, processOf, startJob, without } from "./jobs.ts";

const { folder, text } = workspace();
const settings = [
  "--data",
  text,
  ...tiny,
  "--batch",
  "4",
  "--save-every",
  "1",
  "--eval-every",
  "1000",
  "--warmup",
  "1",
];
const endless = ["--steps", "100000", "--json"];
const underWay = /"type":"train","step":4,/;

/** The one sentence of a job that ended badly. */
function complaintOf({ status, stderr }: Finished): string {
  expect(status).not.toBe(0);
  const complaints = stderr.split("\n").filter((line) => line.startsWith("longhand: "));
  expect(complaints, stderr).toHaveLength(1);
  expect(stderr).not.toMatch(/^\s+at /m); // a stack trace
  return complaints[0];
}

/** Whether the run can be gone on with from its last checkpoint. */
async function expectGoesOn(run: string): Promise<void> {
  const [last] = checkpointsOf(run).slice(-1);
  const { stderr } = await succeed(["train", "--resume", run, "--steps", `${last + 1}`]);
  expect(stderr).toContain(`from step ${last}`);
}

const possible =
  process.platform === "linux" &&
  spawnSync("unshare", ["-rm", "mount", "-t", "tmpfs", "longhand", tmpdir()]).status === 0;

describe.skipIf(launchers.mpich === undefined)(`a job in which${without(launchers.mpich)}`, { timeout: 60_000 }, () => {
  it("a process is killed ends, and goes on", async () => {
    const run = join(folder, "killed");
    const job = startJob(2, ["train", "--out", run, ...settings, ...endless]);
    await job.saw(underWay);
    process.kill(processOf(run, 1), "SIGKILL");
    expect((await job.ended).status).not.toBe(0);
    await expectGoesOn(run);
  });

  it("a process hangs ends after a time, saying where the others waited", async () => {
    const run = join(folder, "hanging");
    const job = startJob(2, ["train", "--out", run, ...settings, ...endless, "--wait-limit", "1"]);
    await job.saw(underWay);
    process.kill(processOf(run, 1), "SIGSTOP");
    expect(complaintOf(await job.ended)).toMatch(
      /^longhand: MPI: not all processes came to the .+ within 1 s: one of them hangs or has ended; go on from the last checkpoint$/,
    );
    await expectGoesOn(run);
  });

  it.runIf(possible)("the disk of the process that writes is full keeps the checkpoint before", async () => {
    const disk = join(folder, "disk");
    mkdirSync(disk);
    const script = `disk=$1; shift; mount -t tmpfs -o size=1050k longhand "$disk" && { "$@"; s=$?; ls "$disk/run/checkpoints"; exit $s; }`;
    const through = ["unshare", "-rm", "bash", "-c", script, "bash", disk];
    const job = startJob(2, ["train", "--out", join(disk, "run"), ...settings, "--steps", "6"], { through });
    const ended = await job.ended;
    expect(complaintOf(ended)).toMatch(/cannot write .*step-\d+: the disk is full; free 1 MB and go on with --resume/);
    expect(ended.stdout).toMatch(/^step-00000000\nstep-00000001\n/);
  });

  it("processes cannot share a step equally says what to choose, before anything is written", async () => {
    const run = join(folder, "uneven");
    const ended = await startJob(3, ["train", "--out", run, ...settings]).ended;
    expect(ended.status).toBe(2);
    expect(complaintOf(ended)).toBe(
      "longhand: --batch 4: 3 processes cannot take as many each of the 4 examples of a step; choose --batch 6, or 1, 2 or 4 processes",
    );
    expect(checkpointsOf(run)).toEqual([]);
  });

  it("a process was given other options is refused before the first step", async () => {
    const args = (steps: string) => ["train", "--out", join(folder, "unlike"), ...settings, "--steps", steps];
    const second = [":", "-n", "1", process.execPath, "bin/longhand.js", ...args("7")];
    const ended = await startJob(1, [...args("6"), ...second]).ended;
    expect(complaintOf(ended)).toMatch(/^longhand: MPI: process 1 on \S+ has another options than process 0 on /);
  });

  it("processes do not find each other is refused", async () => {
    const env = { SLURM_STEP_NUM_TASKS: "2", SLURM_PROCID: "0" };
    const sentence =
      /^longhand: MPI: Slurm started this job, and MPICH \S+ found 1 of 2 processes; choose another --mpi/;
    await fail(["train", "--out", join(folder, "lone"), ...settings], 2, sentence, { env });
  });
});
