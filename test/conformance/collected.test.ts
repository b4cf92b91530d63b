/** Runs give the right answer whenever the garbage collector comes: arrays whose addresses went to native code live on. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

it("computes the same while garbage is collected all the time", { timeout: 120_000 }, async () => {
  const script = fileURLToPath(new URL("collected-run.ts", import.meta.url));
  // A collection of the young generation each time that up to 50 % of it are in use, at random.
  const flags = ["--stress-scavenge=50", "--import", "tsx"];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, script], { timeout: 110_000 });
  expect(JSON.parse(stdout)).toEqual({ runs: 4000, wrong: 0, failures: [] });
});
