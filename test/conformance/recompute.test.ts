/**
 * Recomputation survives the runtime: measured in processes of their own, it lowers the peak memory of a training step, and
 * without its copies that wait for the gradient it does not, because the runtime merges the second computation with the first.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const script = fileURLToPath(new URL("recompute-run.ts", import.meta.url));

async function measure(way: string): Promise<{ loss: number; megabytes: number; estimated: number }> {
  const args = ["--import", "tsx", script, way];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 });
  return JSON.parse(stdout);
}

// Only Linux tells the peak of a process.
it.runIf(existsSync("/proc/self/status"))(
  "computes again late, which halves the memory",
  { timeout: 240_000 },
  async () => {
    const kept = await measure("kept");
    const again = await measure("again");
    const merged = await measure("unguarded");
    const shown = JSON.stringify({ kept, again, merged });
    for (const { loss } of [again, merged]) expect(loss, shown).toBe(kept.loss);
    // The arena grows in steps: of so little memory the estimate is close only where it is not the least.
    expect(kept.estimated / kept.megabytes, shown).toBeGreaterThan(0.75);
    expect(kept.estimated / kept.megabytes, shown).toBeLessThan(1.25);
    expect(again.estimated, shown).toBeLessThan(0.5 * kept.estimated);
    expect(again.megabytes, shown).toBeLessThan(0.5 * kept.megabytes);
    expect(merged.megabytes, shown).toBeGreaterThan(0.8 * kept.megabytes);
  },
);
