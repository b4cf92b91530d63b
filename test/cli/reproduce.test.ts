/**
 * The comparison through the real command, with models so small that starting processes takes most of the time: a run that
 * is killed and gone on with, what it leaves, and what it refuses.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { fail, jsonLines, start, succeed, workspace } from "./command.ts";

const { folder, text } = workspace();
const out = join(folder, "compare");
const settings = (
  "--budget 20 --preset nano --models flash,transformer++ --contexts 32 --quality-contexts 32 --tokens 64 " +
  "--quality-tokens 64 --rounds 3 --steps 6 --lr 1e-3,4e-3 --vocab 300 --eval-tokens 128 --threads 1"
).split(" ");
const args = ["reproduce", "--data", text, "--out", out, ...settings, "--only", "speed,quality,context-use"];

interface Job {
  readonly id: string;
}

const planned = (lines: readonly Record<string, unknown>[]) => {
  const { plan, done } = lines.find(({ type }) => type === "plan") as { plan: { jobs: { job: Job }[] }; done: number };
  return { ids: plan.jobs.map(({ job }) => job.id), done };
};
const measured = (lines: readonly Record<string, unknown>[]) =>
  lines.filter(({ type }) => type === "result").map(({ job }) => job);
const raw = (id: string) => readFileSync(join(out, "results", `${id}.json`), "utf8");

describe("longhand reproduce", { timeout: 180_000 }, () => {
  it("goes on where it was killed, and writes a report that needs nothing else", async () => {
    const killed = start([...args, "--json"], { timeoutMs: 120_000 });
    await killed.saw(/"type":"result","job":"quality\/causal-32-flash-lr-0.001"/);
    await fail(["reproduce", "--out", out], 2, /is training in this folder/); // one process at a time
    killed.child.kill("SIGKILL");
    await killed.ended;
    const before = raw("speed/context-32");
    const speed = JSON.parse(before).result;
    expect(speed.sides.map(({ model, ms }: { model: string; ms: number[] }) => [model, ms.length])).toEqual([
      ["flash", 3],
      ["transformer++", 3],
    ]);

    const { stdout } = await succeed(["reproduce", "--out", out, "--json"], { timeoutMs: 120_000 });
    const lines = jsonLines(stdout);
    const { ids, done } = planned(lines);
    expect(ids).toEqual([
      "speed/context-32",
      "quality/causal-32-flash-lr-0.001",
      "quality/causal-32-flash-lr-0.004",
      "quality/causal-32-transformerpp-lr-0.001",
      "quality/causal-32-transformerpp-lr-0.004",
      "quality/masked-32-flash",
      "quality/masked-32-transformerpp",
    ]);
    expect(done).toBe(2);
    expect(measured(lines)).toEqual(ids.slice(2));
    expect(lines.at(-1)).toMatchObject({ type: "end", finished: true, jobs: 7, done: 7 });
    expect(raw("speed/context-32")).toBe(before);
    expect(existsSync(join(out, "work", "quality"))).toBe(true);
    expect(readdirSync(join(out, "work", "quality"))).toEqual([]);

    const { result } = JSON.parse(raw("quality/causal-32-flash-lr-0.001"));
    expect(result.losses).toHaveLength(6);
    expect(result.stepMs).toHaveLength(6);
    expect(result.curve.map(({ step }: { step: number }) => step)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(result.final.tokens).toBe(512);
    expect(result.beyond.map(({ window, leftOut }: Record<string, unknown>) => [window, leftOut])).toEqual([
      [32, null],
      [128, null],
      [512, null],
      [2048, "the held-out text has 513 tokens"],
    ]);
    const tokensOf = ({ byPosition }: { byPosition: { tokens: number }[] }) =>
      byPosition.reduce((sum, { tokens }) => sum + tokens, 0);
    expect(result.beyond.slice(0, 3).map(tokensOf)).toEqual([512, 512, 512]); // the same text in windows of all lengths
    expect(result.beyond[2].byPosition.at(-1)).toMatchObject({ from: 256, to: 512, tokens: 256 });
    expect(result.losses[5]).toBeLessThan(result.losses[0]);
    const html = readFileSync(join(out, "report.html"), "utf8");
    expect(html).toContain("FLASH");
    expect(html).toContain("Held-out perplexity against position, up to 512 tokens");
    expect(html.replaceAll("http://www.w3.org/", "")).not.toMatch(/https?:\/\/|<script|<link|@import|url\(http/);
    expect(readFileSync(join(out, "speed.csv"), "utf8")).toMatch(/^model,context,/);
  });

  it("measures a damaged result again, and only that", async () => {
    const path = join(out, "results", "quality", "causal-32-flash-lr-0.004.json");
    const before = JSON.parse(readFileSync(path, "utf8")).result;
    writeFileSync(path, readFileSync(path, "utf8").replace('"steps":6', '"steps":7'));
    const { stdout } = await succeed(["reproduce", "--out", out, "--json"]);
    const lines = jsonLines(stdout);
    expect(lines.find(({ type }) => type === "warning")?.message).toMatch(
      /causal-32-flash-lr-0\.004\.json: it is damaged/,
    );
    expect(measured(lines)).toEqual(["quality/causal-32-flash-lr-0.004"]);
    // The same seed, batches and thread count: the same losses.
    expect(JSON.parse(readFileSync(path, "utf8")).result.losses).toEqual(before.losses);
  });

  it("stops between steps at Ctrl-C and goes on within the training", async () => {
    const own = join(folder, "stopped");
    const one = ["--only", "context-use", "--models", "flash", "--lr", "1e-3", "--steps", "60"];
    const longer = ["reproduce", "--data", text, "--out", own, ...settings, ...one, "--json"];
    const running = start(longer, { timeoutMs: 120_000 });
    await running.saw(/step 5 of 60/);
    running.child.kill("SIGINT");
    const { status, stdout, stderr } = await running.ended;
    expect(status).toBe(0);
    expect(stderr).toContain(`go on with  longhand reproduce --out ${own}`);
    expect(jsonLines(stdout).at(-1)).toMatchObject({ type: "end", finished: false, done: 0 });
    const record = JSON.parse(
      readFileSync(join(own, "work", "quality", "causal-32-flash-lr-0.001", "record.json"), "utf8"),
    );
    expect(record.losses.length).toBeGreaterThanOrEqual(5);
    expect(record.losses.length).toBeLessThan(60);
    await succeed(["reproduce", "--out", own, "--json"]);
    const { result } = JSON.parse(
      readFileSync(join(own, "results", "quality", "causal-32-flash-lr-0.001.json"), "utf8"),
    );
    expect(result.losses).toHaveLength(60);
    expect(result.losses.slice(0, record.losses.length)).toEqual(record.losses);
  });

  it("rebuilds the report without measuring", async () => {
    writeFileSync(join(out, "report.html"), "");
    const { stdout } = await succeed(["reproduce", "--report", out, "--json"]);
    expect(jsonLines(stdout).map(({ type }) => type)).toEqual(["report", "end"]);
    expect(readFileSync(join(out, "report.html"), "utf8")).toMatch(/^<!doctype html>/);
  });

  it("asks models what they recall, without any text", async () => {
    const own = join(folder, "recall");
    const some =
      "--only recall --models transformer++ --recall-steps 3 --budget 20 --vocab 300 --lr 1e-3 --threads 1 --json";
    const { stdout } = await succeed(["reproduce", "--out", own, ...some.split(" ")], { timeoutMs: 120_000 });
    const ids = ["1-lr-0.001", "2", "3"].map((seed) => `recall/transformerpp-seed-${seed}`);
    expect(measured(jsonLines(stdout))).toEqual(ids);
    const { result } = JSON.parse(readFileSync(join(own, "results", `${ids[1]}.json`), "utf8"));
    expect(result).toMatchObject({ seed: 2, failure: null, config: { architecture: "transformer++", width: 128 } });
    expect(result.losses).toHaveLength(3);
    for (const { answers, leftOut } of result.recall) {
      expect(leftOut).toBeNull();
      expect(answers.map(({ task }: { task: string }) => task)).toEqual(["name", "pairs", "copy"]);
      for (const { asked, correct } of answers) {
        expect(asked).toBeGreaterThan(15);
        expect(correct).toBeLessThan(asked / 2); // three steps teach nothing
      }
    }
    const html = readFileSync(join(own, "report.html"), "utf8");
    expect(html).toContain("Recall of key–value pairs: accuracy against distance");
    expect(readFileSync(join(own, "recall.csv"), "utf8")).toMatch(/^model,ablation,context,steps,seeds,task,distance,/);
    expect(existsSync(join(own, "data"))).toBe(false);
  });

  it("prints the plan alone", async () => {
    const { stdout } = await succeed(["reproduce", "--out", out, "--plan"]);
    expect(stdout).toMatch(/^plan for .*compare: preset nano, 20 minutes/);
    expect(stdout).toContain("7 of 7 jobs are measured already");
    expect(stdout).toMatch(/speed: context 32 +1 job/);
  });

  it("refuses to mix machines or versions, naming what differs, unless told to", async () => {
    const path = join(out, "reproduce.json");
    const manifest = readFileSync(path, "utf8");
    writeFileSync(path, manifest.replace(/"node": "[^"]*"/, '"node": "v1.2.3"'));
    await fail(
      ["reproduce", "--out", out],
      2,
      new RegExp(
        `another machine or version \\(Node v1\\.2\\.3 -> ${process.version.replaceAll(".", "\\.")}\\).*--mixed`,
      ),
    );
    const result = join(out, "results", "speed", "context-32.json");
    await succeed(["reproduce", "--out", out, "--mixed", "--json"]);
    expect(existsSync(result)).toBe(true);
    writeFileSync(path, manifest);
  });

  it.each([
    [
      ["--only", "sped"],
      /--only sped: expected some of speed, quality, ablations, context-use, recall \(did you mean speed\?\)/,
    ],
    [["--models", "flash,transfomer"], /--models transfomer: expected some of .*\(did you mean transformer\?\)/],
    [["--contexts", "12,x"], /--contexts x: expected positive whole numbers/],
    [["--lr", "0"], /--lr 0: expected positive numbers/],
    [["--preset", "mini"], /--preset "mini": .*nano/],
    [["--budget", "soon"], /--budget "soon": expected a number/],
    [["--report", "nowhere", "--steps", "3"], /--steps cannot be combined with --report/],
    [["--report", "nowhere"], /--report nowhere: there is no comparison/],
    [["--data", "missing.txt", "--out", join(folder, "a")], /missing\.txt/],
  ])("%j is wrong usage", async (given, sentence) => {
    await fail(["reproduce", ...given], given[0] === "--data" ? 1 : 2, sentence);
  });

  it("refuses other settings than the folder was begun with, naming them", async () => {
    await fail(
      ["reproduce", "--out", out, "--budget", "30", "--steps", "6", "--lr", "1e-3"],
      2,
      /begun with --budget 20, not 30; --lr 0\.001,0\.004, not 0\.001: /,
    );
  });

  it("refuses a folder of something else", async () => {
    await fail(["reproduce", "--out", folder, "--data", text], 2, /holds something else than a comparison/);
    await fail(
      ["reproduce", "--out", folder, "--data", text, "--overwrite"],
      2,
      /holds something else than a comparison/,
    );
  });

  it("says how many minutes are the least", async () => {
    const own = [
      "--data",
      text,
      "--out",
      join(folder, "small"),
      "--budget",
      "1",
      "--models",
      "flash",
      "--contexts",
      "64",
      "--tokens",
      "64",
    ];
    await fail(
      ["reproduce", ...own, "--only", "quality", "--steps", "100000", "--threads", "1"],
      2,
      /budget 1: too few minutes for quality with preset nano, which take about \d+/,
    );
  });

  it("refuses a text that is too short for the context", async () => {
    const own = [
      "--data",
      text,
      "--out",
      join(folder, "short"),
      ...settings,
      "--quality-contexts",
      "60000",
      "--quality-tokens",
      "64",
    ];
    await fail(
      ["reproduce", ...own, "--only", "context-use", "--models", "flash", "--steps", "1"],
      1,
      /a context of 60000 needs more; give more text or smaller --quality-contexts/,
      { timeoutMs: 120_000 },
    );
  });
});
