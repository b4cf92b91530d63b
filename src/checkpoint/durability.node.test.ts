/**
 * The promises about kill -9 and full disks, tested on a real child process that saves checkpoints as fast as it can.
 * The modules are compiled to a temporary folder first, because Node 20 does not run TypeScript.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { listCheckpoints, loadLatestCheckpoint } from "./checkpoints.node.ts";

const ELEMENTS = 50_000;

/** argv: run folder, first step, last step. Every element of the model is the step; keeps two checkpoints. */
const CHILD = `
  import { saveCheckpoint } from "./checkpoint/checkpoints.node.js";
  import { acquireRunLock } from "./checkpoint/run-lock.node.js";
  const [run, first, last] = process.argv.slice(2);
  const lock = await acquireRunLock(run);
  for (let step = Number(first); step <= Number(last); step++) {
    const tensor = { dtype: "float32", shape: [${ELEMENTS}], data: new Float32Array(${ELEMENTS}).fill(step) };
    try {
      await saveCheckpoint(run, { step, model: { w: tensor }, optimizer: { m: tensor, v: tensor }, state: { step }, keep: 2 });
    } catch (error) {
      console.log(error.code + ": " + error.message);
      process.exitCode = 1;
      break;
    }
    console.log("saved " + step);
  }
  lock.release();
`;

let build: string;
let child: string;
beforeAll(() => {
  build = mkdtempSync(join(tmpdir(), "longhand-durability-"));
  writeFileSync(join(build, "package.json"), '{ "type": "module" }');
  child = join(build, "child.js");
  writeFileSync(child, CHILD);
  const source = resolve(import.meta.dirname, "..");
  const files = ["checkpoints.node.ts", "run-lock.node.ts"].map((name) => join(source, "checkpoint", name));
  const options =
    "--ignoreConfig --noCheck --target es2023 --module nodenext --rewriteRelativeImportExtensions --types node";
  const compiler = resolve(source, "..", "node_modules", "typescript", "bin", "tsc");
  execFileSync(process.execPath, [compiler, ...options.split(" "), "--rootDir", source, "--outDir", build, ...files]);
}, 60_000);
afterAll(() => rmSync(build, { recursive: true, force: true }));

function newRun(): string {
  const run = join(mkdtempSync(join(build, "run-")), "run");
  mkdirSync(run);
  return run;
}

/** Loads the latest checkpoint, which must be whole without any warning, and returns its step. */
async function verifiedStep(run: string): Promise<number> {
  const warnings: string[] = [];
  const { step, model, optimizer, state } = await loadLatestCheckpoint(run, {
    onWarning: (text) => warnings.push(text),
  });
  expect(warnings).toEqual([]);
  expect(state).toEqual({ step });
  for (const { data } of [model.w, optimizer.m, optimizer.v]) {
    expect(data.length).toBe(ELEMENTS);
    expect(data.every((value) => value === step)).toBe(true);
  }
  return step;
}

describe("kill -9 while saving", () => {
  it("at any moment leaves the last saved checkpoint, or the next, whole", async () => {
    const run = newRun();
    let saved = 0;
    for (let round = 0; round < 12; round++) {
      const writer = spawn(process.execPath, [child, run, String(saved + 1), "100000"]);
      const reported = await killAfter(writer, 2, round * 3 + 23 * Math.random());
      const step = await verifiedStep(run);
      // A checkpoint may have become durable without its "saved" line having been written.
      expect([reported, reported + 1]).toContain(step);
      expect((await listCheckpoints(run)).length).toBeLessThanOrEqual(3);
      saved = step;
    }
    const last = spawnSync(process.execPath, [child, run, String(saved + 1), String(saved + 2)]);
    expect(last.status).toBe(0);
    expect(readdirSync(join(run, "checkpoints")).length).toBe(2); // and no temporaries
    expect(readdirSync(run)).toEqual(["checkpoints"]);
  }, 60_000);
});

/** Kills a writer some milliseconds after it has reported `count` steps; returns the last step that it reported. */
async function killAfter(writer: ChildProcess, count: number, milliseconds: number): Promise<number> {
  let output = "";
  let errors = "";
  let due = false;
  writer.stderr?.on("data", (data) => {
    errors += data;
  });
  writer.stdout?.on("data", (data) => {
    output += data;
    if (due || output.split("saved").length <= count) return;
    due = true;
    setTimeout(() => writer.kill("SIGKILL"), milliseconds);
  });
  const signal = await new Promise((done) => writer.on("close", (_code, name) => done(name)));
  expect(signal, errors).toBe("SIGKILL");
  return Number(/saved (\d+)\n[^\n]*$/.exec(output)?.[1]);
}

describe("no room while saving", () => {
  it.skipIf(process.platform === "win32")("under a limit on file sizes keeps what was saved and says so", async () => {
    const run = newRun();
    expect(spawnSync(process.execPath, [child, run, "1", "1"]).status).toBe(0);
    // The model fits, the optimiser, twice as long, does not: 300 blocks of 1024 bytes.
    const limited = spawnSync("bash", [
      "-c",
      'ulimit -f 300; exec "$@"',
      "bash",
      process.execPath,
      child,
      run,
      "2",
      "2",
    ]);
    expect(limited.stdout.toString()).toMatch(/^io: cannot write .*step-00000002: the file would be larger than .*\n$/);
    expect(limited.status).toBe(1);
    expect(await verifiedStep(run)).toBe(1);
    expect(readdirSync(join(run, "checkpoints"))).toEqual(["step-00000001"]);
  });

  // A disk of 2 MB in a mount namespace of its own, where the system lets this user have one: it holds three checkpoints.
  const disk = 'mount -t tmpfs -o size=2m longhand "$1" && shift &&';
  const inNamespace = (run: string, script: string, ...args: string[]) =>
    spawnSync("unshare", ["-rm", "bash", "-c", `${disk} ${script}`, "bash", run, ...args], { encoding: "utf8" });
  const possible = process.platform === "linux" && inNamespace(tmpdir(), "true").status === 0;

  it.skipIf(!possible)("on a full disk keeps what was saved, says how much is missing, and goes on afterwards", () => {
    const run = newRun();
    const script = `
      "$@" 1 2 && head -c 500k /dev/zero > "$3/other"; "$@" 3 3; ls -A "$3/checkpoints";
      rm "$3/other"; "$@" 3 3; ls -A "$3/checkpoints"`;
    const { stdout } = inNamespace(run, script, process.execPath, child, run);
    const lines = stdout.trim().split("\n");
    expect(lines).toEqual([
      "saved 1",
      "saved 2",
      expect.stringMatching(
        /^io: cannot write .*step-00000003: the disk is full; free 1 MB and go on with `resume` .*run$/,
      ),
      "step-00000001",
      "step-00000002",
      "saved 3",
      "step-00000002",
      "step-00000003",
    ]);
  });
});
