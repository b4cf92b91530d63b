/** Writes the report of a comparison: report.json (everything), one CSV a section, report.html. */
import { join } from "node:path";
import { writeFileAtomic } from "longhand/tools";
import type { Manifest } from "../manifest.ts";
import type { Result } from "../results.ts";
import { beyondSection } from "./beyond-section.ts";
import { csvFiles } from "./csv.ts";
import { whole } from "./format.ts";
import { ablationSection, findings, leftOutSection, methodSection, paperSection } from "./other-sections.ts";
import { list, page, paragraph } from "./page.ts";
import { contextUseSection, qualitySection } from "./quality-section.ts";
import { recallSection } from "./recall-section.ts";
import { flatSection, speedSection } from "./speed-section.ts";
import { type Summary, summarise } from "./summary.ts";

/** Returns the path of report.html. Throws "io" when the disk refuses. */
export async function writeReport(folder: string, manifest: Manifest, results: readonly Result[]): Promise<string> {
  const summary = summarise(manifest, results);
  const files = {
    ...csvFiles(summary),
    "report.json": `${JSON.stringify({ summary, results }, undefined, 1)}\n`,
    "report.html": reportHtml(summary),
  };
  for (const [name, text] of Object.entries(files)) await writeFileAtomic(join(folder, name), [text]);
  return join(folder, "report.html");
}

/** The whole page. */
export function reportHtml(summary: Summary): string {
  const { settings, finishedJobs, jobs } = summary;
  const texts = (settings.data ?? ["moby-dick.txt"]).join(", ");
  const trained = summary.quality.length > 0 ? ` Learnt: ${texts}.` : "";
  const state = finishedJobs < jobs ? ` Unfinished: ${whole(finishedJobs)} of ${whole(jobs)} jobs are measured.` : "";
  const found = findings(summary);
  const lead = [
    paragraph(
      `The comparison of “Transformer Quality in Linear Time” (Hua, Dai, Liu, Le 2022), rerun by longhand reproduce with the ${settings.preset} preset.${trained}${state}`,
    ),
    ...(found.length > 0 ? [`<div class="findings">${list(found)}</div>`] : []),
  ];
  return page("Transformer quality in linear time, rerun", lead.join("\n"), [
    speedSection(summary),
    flatSection(summary),
    qualitySection(summary),
    contextUseSection(summary),
    beyondSection(summary),
    ablationSection(summary),
    recallSection(summary),
    paperSection(summary),
    leftOutSection(summary),
    methodSection(summary),
  ]);
}
