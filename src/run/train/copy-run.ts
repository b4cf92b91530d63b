/** A run begun again elsewhere from one of its checkpoints: everything but the other checkpoints, which appears whole. */
import { existsSync } from "node:fs";
import { cp, mkdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { writeDirectoryAtomic } from "../../checkpoint/atomic.node.ts";
import { createRunFolder } from "../../checkpoint/run-folder.node.ts";
import { BASE_FILE } from "../use/base.ts";

const PARTS = ["config.json", "tokenizer.json", "data", "metrics.jsonl", BASE_FILE];

/**
 * Copies `run` with this checkpoint to `out`, a new folder. Throws "usage" for a folder that holds anything, "io" when the
 * system refuses; then nothing is left of the copy.
 */
export async function copyRun(run: string, checkpoint: string, out: string): Promise<void> {
  const folder = await createRunFolder(out);
  try {
    await writeDirectoryAtomic(out, async (temporary) => {
      for (const part of PARTS) {
        if (existsSync(join(run, part))) await cp(join(run, part), join(temporary, part), { recursive: true });
      }
      await mkdir(join(temporary, "checkpoints"));
      await cp(checkpoint, join(temporary, "checkpoints", basename(checkpoint)), { recursive: true });
    });
  } catch (error) {
    await folder.undo();
    throw error;
  }
}
