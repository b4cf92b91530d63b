/** The example of the README: a model of a week's log finds the odd lines of the day after. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { jsonLines, runExample, succeed, workspace } from "../cli/command.ts";

const { folder } = workspace();

it("finds most odd lines of a day among the most surprising ones", { timeout: 300_000 }, async () => {
  const log = join(folder, "log");
  await runExample("service-log.ts", log, "1");
  const run = join(folder, "run");
  const size = ["--vocab", "1024", "--context", "512", "--batch", "2", "--steps", "120"];
  await succeed(["train", "--data", join(log, "week.log"), "--out", run, ...size], { timeoutMs: 240_000 });
  const { stdout } = await succeed(["score", run, join(log, "day.log"), "--json"], { timeoutMs: 60_000 });
  const odd: { line: number; kind: string }[] = JSON.parse(readFileSync(join(log, "odd.json"), "utf8"));
  const lines = (jsonLines(stdout) as { type: string; line: number; bits: number }[]).filter(
    ({ type }) => type === "line",
  );
  expect(lines.length).toBeGreaterThan(4000);
  expect(odd).toHaveLength(20);
  lines.sort((a, b) => b.bits - a.bits);
  const most = new Set(lines.slice(0, odd.length).map(({ line }) => line));
  const found = odd.filter(({ line }) => most.has(line));
  expect(found.length / odd.length).toBeGreaterThanOrEqual(0.5); // precision, and recall, at the true count
  expect(found.filter(({ kind }) => kind === "new error")).toHaveLength(5);
});
