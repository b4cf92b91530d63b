/** Writes the report of a comparison: report.json (everything), one CSV a section, report.html, and plots as SVG files. */
import { join } from "node:path";
import { writeFileAtomic } from "longhand/tools";
import type { Manifest } from "../manifest.ts";
import type { Result } from "../results.ts";
import { beyondPlot, beyondSection } from "./beyond-section.ts";
import { csvFiles } from "./csv.ts";
import { whole } from "./format.ts";
import { ablationSection, findings, leftOutSection, methodSection, paperSection } from "./other-sections.ts";
import { list, page, paragraph } from "./page.ts";
import { plotFile } from "./plots.ts";
import { contextUseSection, qualitySection, timePlots } from "./quality-section.ts";
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
    ...plotFiles(summary),
  };
  for (const [name, text] of Object.entries(files)) await writeFileAtomic(join(folder, name), [text]);
  return join(folder, "report.html");
}

/** Perplexity against time and against position, to be shown on other pages. */
export function plotFiles(summary: Summary): Readonly<Record<string, string>> {
  const beyond = beyondPlot(summary);
  const plots = [...timePlots(summary), ...(beyond ? [["beyond", beyond] as const] : [])];
  return Object.fromEntries(plots.map(([name, plot]) => [`${name}.svg`, plotFile(plot)]));
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
