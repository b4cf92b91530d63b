/** A compiled training step runs 2,000 times in the memory of its first runs. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

it("does not grow over 2,000 steps", { timeout: 120_000 }, async () => {
  const script = fileURLToPath(new URL("memory-run.ts", import.meta.url));
  // A small young generation: what JavaScript lets lie there is not what this is about.
  const flags = ["--expose-gc", "--max-semi-space-size=1", "--import", "tsx"];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, script], { timeout: 110_000 });
  const { collected, megabytes } = JSON.parse(stdout);
  expect(collected).toBe(true);
  // One set of this small model's parameters forgotten at every step would be over 90 MB.
  expect(megabytes[2000] - megabytes[200], stdout).toBeLessThan(4);
});
