/** Training in bounded memory through the real command: recomputation, and what is said when it does not fit. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { hugePages } from "../../src/runtime/huge-pages.node.ts";
import { fail, learnt, start, succeed, tiny, workspace } from "./command.ts";

const { folder, text } = workspace();

const trainInto = (run: string, ...more: string[]) => ["train", "--data", text, "--out", run, ...tiny, ...more];
/** The command with the memory that it believes to have. */
const within = (limit: string) => ({ through: ["env", `LONGHAND_MEMORY_LIMIT=${limit}`] });

describe("--recompute layers", { timeout: 60_000 }, () => {
  it("learns the same, is saved, and goes on with --resume", async () => {
    const [plain, again] = ["plain", "again"].map((name) => join(folder, name));
    await succeed(trainInto(plain, "--steps", "4"));
    await succeed(trainInto(again, "--steps", "2", "--recompute", "layers"));
    expect(JSON.parse(readFileSync(join(again, "config.json"), "utf8")).training.recompute).toBe("layers");
    await succeed(["train", "--resume", again, "--steps", "4"]);
    const [left, right] = [plain, again].map((run) => learnt(run, 4).losses);
    // The learning rates of the first two steps differ, as two were planned: their losses come before any of that counts.
    expect(right[0]).toEqual(left[0]);
    expect(right).toHaveLength(4);
  });

  it("can be chosen for a run that goes on, and is remembered", async () => {
    const run = join(folder, "later");
    await succeed(trainInto(run, "--steps", "2"));
    await fail(
      ["train", "--resume", run, "--recompute", "layer"],
      2,
      /--recompute "layer": expected one of none, layers/,
    );
    await succeed(["train", "--resume", run, "--steps", "3", "--recompute", "layers"]);
    expect(JSON.parse(readFileSync(join(run, "config.json"), "utf8")).training.recompute).toBe("layers");
    expect(learnt(run, 3).losses).toHaveLength(3);
  });

  it("rejects another choice, with those there are", async () => {
    await fail(trainInto(join(folder, "no"), "--recompute", "layer"), 2, /--recompute.*layer.*none.*layers/);
  });
});

describe("too little memory", { timeout: 60_000 }, () => {
  const large = "--batch 8 --context 2048 --set model.layers=8 --set model.width=64".split(" ");

  it("is told before anything is written, with a batch, a context and recomputation that each are accepted", async () => {
    const run = join(folder, "fits");
    const { stderr } = await fail(
      trainInto(run, ...large),
      2,
      /training needs about 1\.\d GB and 0\.6 GB are available: --batch \d, --context \d+ or --recompute layers \(about 0\.\d GB\) would fit/,
      within("600MB"),
    );
    expect(existsSync(run)).toBe(false);
    const [, batch, context] = /--batch (\d+), --context (\d+)/.exec(stderr) ?? [];
    for (const change of [`--batch=${batch}`, `--context=${context}`, "--recompute=layers"]) {
      const args = trainInto(run, ...large, "--overwrite", change);
      const { child, ended, saw } = start(args, within("600MB"));
      await saw(/training the tokenizer/); // so it was not refused
      child.kill("SIGKILL");
      await ended;
    }
  });

  it("is told of a run that goes on, which can change recomputation alone, and of an evaluation", async () => {
    const run = join(folder, "smaller");
    await succeed(trainInto(run, ...large, "--steps", "1"));
    const resumed = ["train", "--resume", run, "--steps", "2"];
    const advice = /training needs about .* available: --recompute layers \(about 0\.\d GB\) would fit/;
    await fail(resumed, 2, advice, within("600MB"));
    await fail(resumed, 2, /are available: go on where there is more \(/, within("1MB"));
    const evaluation = ["eval", run, "--data", text, "--context", "1048576"];
    const shorter = /--context 1048576: evaluation needs about .* available: --context \d+ would fit/;
    const { stderr } = await fail(evaluation, 2, shorter, within("400MB"));
    const [, context] = /--context (\d+) would fit/.exec(stderr) ?? [];
    await succeed(["eval", run, "--data", text, "--context", context ?? "none"], within("400MB"));
  });

  // Only where a process stands between that can tell: with huge pages to switch on, and before Node 22.15.
  const between = !("execve" in process) && hugePages().mode === "madvise";
  it.runIf(between)("is guessed when the system kills the process", async () => {
    const args = trainInto(join(folder, "killed"), "--steps", "100000", "--json");
    const { child, ended, saw } = start(args, { startsAgain: true });
    await saw(/"type":"train","step":1,/);
    const working = Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim().split(" ")[0]);
    expect(working).toBeGreaterThan(1);
    process.kill(working, "SIGKILL");
    const { stderr } = await ended;
    expect(stderr).toMatch(/^longhand: killed by SIGKILL, most likely because memory ran out: go on with --resume/m);
  });

  it("says so where nothing would fit, and rejects a limit that is none", async () => {
    const run = join(folder, "none");
    await fail(trainInto(run), 2, /choose a smaller --preset/, within("1MB"));
    await fail(trainInto(run), 2, /LONGHAND_MEMORY_LIMIT=much: expected bytes/, within("much"));
  });

  it("is told in one sentence when the runtime cannot allocate", async () => {
    const run = join(folder, "allocation");
    const limited = ["bash", "-c", 'ulimit -v 3000000; LONGHAND_MEMORY_LIMIT=1TB exec "$@"', "bash"];
    const sentence = /training ran out of memory: it needs about \d+\.\d GB; use a smaller --batch/;
    // One tensor of scores takes 2 GB: what fails is the runtime's allocation, and node keeps enough for itself.
    const square = "--model flash-quad --objective masked --batch 8 --context 8192".split(" ");
    await fail(trainInto(run, "--set", "model.layers=1", ...square), 1, sentence, { through: limited });
  });
});
