/** The example of the library runs as it stands, on the package as it is built. `npm run check` checks its types. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { runExample, workspace } from "../cli/command.ts";

const { folder, text } = workspace();
const example = (...args: string[]) => runExample("library.ts", ...args);

it("trains, measures and writes without the command line", { timeout: 100_000 }, async () => {
  const run = join(folder, "run");
  const { stdout, stderr } = await example(text, run, "10");
  expect(stderr).toBe("");
  expect(stdout).toMatch(/^step 10: loss \d\.\d{3}$/m);
  expect(stdout).toMatch(/^.*run: 10 steps, held-out perplexity \d+\.\d$/m);
  expect(stdout).toMatch(/^\d\.\d{3} bits a byte\n {2}tokens 0 to 0: loss \d\.\d{3}$/m);
  expect(stdout).toMatch(/^It was|\n\(50 tokens, \d+ a second\)$/m);
  expect(existsSync(join(run, "checkpoints", "step-00000010", "model.safetensors"))).toBe(true);
});

it("tells an error by its code", { timeout: 100_000 }, async () => {
  const failure = example(join(folder, "missing.txt"), join(folder, "none"), "1");
  await expect(failure).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^data: .*missing.txt does not exist/),
  });
});
