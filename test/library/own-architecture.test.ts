/** The example of an own architecture: its forms agree, and it is trained and compared as those of the package are. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { architectureByName, parseModelConfig, presetModel } from "longhand/models";
import { expect, it } from "vitest";
import { command, fail, runExample, runTypeScript, workspace } from "../cli/command.ts";
import { expectRecurrentEqualsForward } from "../support/recurrence.ts";
import "../../examples/own-architecture.ts";

const { folder, text } = workspace();

it.each([1, 63, 257])("reads %i tokens one after the other as it reads them at once", (T) => {
  const layer = architectureByName("fading").layer({ ...config(), width: 8, shared: 4 }, 0);
  expectRecurrentEqualsForward({ name: "fading", layer, width: 8, rotaryWidth: 0 }, T);
});

function config() {
  return parseModelConfig({ ...presetModel("fading", "nano", { context: 64 }), vocabSize: 300 });
}

it("is trained, decoded and compared beside the architectures of the package", { timeout: 120_000 }, async () => {
  const { stdout, stderr } = await runExample("own-architecture.ts", text, join(folder, "own"), "10");
  expect(stderr).toBe("");
  expect(stdout).toMatch(/^held-out perplexity \d+\.\d\n.{20,}\ncompared: \S*report\.html\n$/s);
  const rows = readFileSync(join(folder, "own-compared", "speed.csv"), "utf8")
    .trimEnd()
    .split("\r\n");
  expect(rows.map((row) => row.split(",").slice(0, 2).join(" "))).toEqual(["model context", "flash 256", "fading 256"]);
  expect(readFileSync(join(folder, "own-compared", "report.html"), "utf8")).toContain("Fading memory");
});

it("is known to whoever continues the comparison, and an unknown module is named", { timeout: 120_000 }, async () => {
  const compared = join(folder, "own-compared");
  const { stdout } = await runTypeScript(command, "reproduce", "--report", compared, "--json");
  expect(JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "")).toMatchObject({ type: "end", finished: true });
  await fail(["reproduce", "--modules", "none.js"], 2, /modules: .*none\.js cannot be imported/);
});
