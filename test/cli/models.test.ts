/** `longhand models`: the table, the same as JSON, and what it refuses. */
import { describe, expect, it } from "vitest";
import { ablationNames, ablations } from "../../src/models/ablations.ts";
import { architectureNames } from "../../src/models/registry.ts";
import { fail, jsonLines, succeed } from "./command.ts";

interface Line {
  architecture: string;
  preset: string;
  vocabSize: number;
  parameters: number;
  cost: { context: number; megaflopsPerToken: number }[];
}

describe("longhand models", { timeout: 60_000 }, () => {
  it("lists every architecture with its size and its cost at three contexts", async () => {
    const { stdout, stderr } = await succeed(["models", "--preset", "tiny"]);
    expect(stderr).toBe("");
    const [title, header, ...rows] = stdout.trimEnd().split("\n");
    expect(title).toBe("preset tiny, vocabulary 8192; training cost in MFLOP a token, by context");
    expect(header).toMatch(/^ {2}architecture +parameters +512 +8192 +65536$/);
    expect(rows.map((row) => row.trim().split(/\s+/)[0])).toEqual(architectureNames());
    for (const row of rows) expect(row).toMatch(/^ {2}\S+ +\d\.\d\d M( +\d+\.\d){3}$/);
  });

  it("says the same as JSON lines, of the contexts and the vocabulary asked for", async () => {
    const options = ["--preset", "nano", "--context", "1024", "16384", "--vocab", "300"];
    const lines = jsonLines((await succeed(["models", ...options, "--json"])).stdout) as unknown as Line[];
    expect(lines.map(({ architecture }) => architecture)).toEqual(architectureNames());
    const growth = Object.fromEntries(
      lines.map(({ architecture, cost: [near, far] }) => [
        architecture,
        far.megaflopsPerToken / near.megaflopsPerToken,
      ]),
    );
    for (const { preset, vocabSize, parameters, cost } of lines) {
      expect([preset, vocabSize, cost.map(({ context }) => context)]).toEqual(["nano", 300, [1024, 16384]]);
      expect(parameters).toBeGreaterThan(1e5);
    }
    for (const name of ["flash", "performer", "mc-tfm++"]) expect(growth[name], name).toBeCloseTo(1, 2);
    for (const name of ["transformer++", "flash-quad"]) expect(growth[name], name).toBeGreaterThan(2);
  });

  it("lists the ablations in its help", async () => {
    const { stdout } = await succeed(["models", "--help"]);
    for (const name of ablationNames) expect(stdout).toContain(`\n  ${name.padEnd(17)}${ablations[name].description}`);
  });

  it.each<[string, RegExp]>([
    ["--preset tiyn", /--preset "tiyn": expected one of nano, .* \(did you mean tiny\?\)$/],
    ["--context 0", /--context .*expected a whole number of at least 1/],
    ["--vocab many", /--vocab .*expected a whole number of at least 1/],
    ["tiny", /too many arguments for 'models'/],
  ])("refuses %s", async (args, sentence) => {
    await fail(["models", ...args.split(" ")], 2, sentence);
  });
});
