/** Disks that are full or read-only: exit status 1, one sentence, and what was saved before is still there. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { fail, learnt, longhand, succeed, tiny, treeOf, workspace } from "./command.ts";

const { folder, text } = workspace();
const whole = join(folder, "whole");
const settings = [...tiny, "--steps", "6", "--save-every", "1"];

beforeAll(async () => {
  await succeed(["train", "--data", text, "--out", whole, ...settings]);
}, 60_000);

/** Runs a script that has the command in "$@", on a small disk of its own at "$disk", in a mount namespace. */
const onDisk = (size: string, script: string) => {
  const disk = join(folder, "disk");
  mkdirSync(disk, { recursive: true });
  const mount = `disk=$1; shift; mount -t tmpfs -o size=${size} longhand "$disk" && { ${script}\n}`;
  return { through: ["unshare", "-rm", "bash", "-c", mount, "bash", disk], disk };
};

const possible =
  process.platform === "linux" &&
  spawnSync("unshare", ["-rm", "mount", "-t", "tmpfs", "longhand", tmpdir()]).status === 0;

describe("no room while saving", { timeout: 60_000 }, () => {
  it.runIf(possible)("keeps the checkpoint before, says how much is missing, and goes on bit for bit", async () => {
    const kept = join(folder, "kept");
    const { through, disk } = onDisk(
      "1050k", // the tokens, two checkpoints and a half
      `"$@"; echo "status $?" >&2
       ls -A "$disk/run/checkpoints"
       "$1" "$2" generate "$disk/run" "It was" --tokens 2 >/dev/null 2>&1; echo "generate $?"
       mount -o remount,size=20m "$disk"
       "$1" "$2" train --resume "$disk/run"; echo "resume $?"
       cp -r "$disk/run" "${kept}"`,
    );
    const run = join(disk, "run");
    const { stdout, stderr } = await longhand(["train", "--data", text, "--out", run, ...settings], { through });
    expect(stderr).toMatch(
      /^longhand: cannot write .*step-00000003: the disk is full; free 1 MB and go on with --resume .*run\nstatus 1$/m,
    );
    expect(stdout.trim().split("\n")).toEqual(
      "step-00000000,step-00000001,step-00000002,generate 0,resume 0".split(","),
    );
    expect(learnt(kept, 6)).toEqual(learnt(whole, 6));
  });

  it.runIf(possible)("says so too when not even the text fits", async () => {
    const { through, disk } = onDisk("20k", `"$@"; status=$?; ls -A "$disk"; exit $status`);
    const run = join(disk, "run");
    await fail(["train", "--data", text, "--out", run, ...settings], 1, /the disk is full/, { through });
  });

  it.runIf(possible)("leaves no half export, and the one that it was to replace as it was", async () => {
    const { through, disk } = onDisk(
      "20m",
      `"$1" "$2" export "${whole}" --out "$disk/model" >/dev/null 2>&1; echo "export $?"
       cp -r "$disk/model" "${join(folder, "before")}"
       dd if=/dev/zero of="$disk/filled" bs=1k 2>/dev/null; truncate -s -40k "$disk/filled"
       "$@" >/dev/null; echo "status $?"
       ls -A "$disk"; diff -r "$disk/model" "${join(folder, "before")}" && echo same`,
    );
    const again = ["export", whole, "--out", join(disk, "model"), "--overwrite"];
    const { stdout, stderr } = await longhand(again, { through });
    expect(stderr).toMatch(
      /^longhand: cannot write .*model: the disk is full; free .* and run the same command again$/m,
    );
    expect(stdout.trim().split("\n")).toEqual(["export 0", "status 1", "filled", "model", "same"]);
  });

  it.skipIf(process.platform === "win32")("keeps what it had under a limit on file sizes", async () => {
    const run = join(folder, "limited");
    cpSync(whole, run, { recursive: true });
    const before = readdirSync(join(run, "checkpoints"));
    // The model fits, the optimiser, twice as long, does not: 100 blocks of 1024 bytes.
    const through = ["bash", "-c", 'ulimit -f 100; exec "$@"', "bash"];
    const sentence = /cannot write .*step-00000007: the file would be larger than .*ulimit -f/;
    await fail(["train", "--resume", run, "--steps", "9"], 1, sentence, { through });
    expect(readdirSync(join(run, "checkpoints"))).toEqual(before);
    await succeed(["generate", run, "It was", "--tokens", "2"]);
  });
});

describe("a read-only disk", { timeout: 60_000 }, () => {
  it.runIf(possible)("is refused for training; models on it can be used", async () => {
    const { through, disk } = onDisk(
      "20m",
      `cp -r "${whole}" "$disk/run"; mount -o remount,ro "$disk"
       "$1" "$2" generate "$disk/run" "It was" --tokens 2 >/dev/null 2>&1 || exit 50
       "$1" "$2" eval "$disk/run" --data "${text}" >/dev/null 2>&1 || exit 51
       "$@"`,
    );
    const before = treeOf(whole);
    const refused = /cannot write .*: the file system is read-only; choose a folder on another one$/;
    const fresh = ["train", "--data", text, "--out", join(disk, "more", "run"), ...settings];
    await fail(fresh, 1, refused, { through });
    await fail(["train", "--resume", join(disk, "run"), "--steps", "9"], 1, refused, { through });
    await fail([...fresh, "--out", join(disk, "run"), "--overwrite"], 1, refused, { through });
    expect(treeOf(whole)).toEqual(before);
  });
});
