/** Reports of `longhand reproduce` below the runs folder, and their files. */
import { readFile, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import { RequestError } from "../../service/failure.ts";
import type { Report } from "../api.ts";
import { filesIn } from "./details.ts";
import type { RunsFolder } from "./folder.ts";

const PAGE = "report.html";

/** What of a report is served, by the end of its name. */
const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".svg": "image/svg+xml; charset=utf-8",
  ".csv": "text/csv; charset=utf-8",
  ".json": "application/json; charset=utf-8",
};

const urlOf = (report: string, name: string) =>
  `/reports/${[...report.split("/"), name].map(encodeURIComponent).join("/")}`;

export async function reportsIn(folder: RunsFolder): Promise<Report[]> {
  const { reports } = await folder.find();
  const all = await Promise.all(reports.map((report) => reportOf(folder.path, report)));
  return all.flatMap((report) => report ?? []).sort((a, b) => b.changed - a.changed);
}

/** Undefined where none is written yet. */
async function reportOf(folder: string, report: string): Promise<Report | undefined> {
  const path = join(folder, report);
  const status = await stat(join(path, PAGE)).catch(() => undefined);
  if (status === undefined) return undefined;
  const html = await readFile(join(path, PAGE), "utf8");
  const title = /<title>([^<]*)<\/title>/.exec(html.slice(0, 4096))?.[1] ?? report;
  const files = (await filesIn(path))
    .filter(({ name }) => name !== PAGE && extname(name) in TYPES)
    .map((file) => ({ ...file, url: urlOf(report, file.name) }));
  return { report, title, changed: Math.round(status.mtimeMs), url: urlOf(report, PAGE), files };
}

/** One file of a report. `name`: its path below the runs folder. Throws 400 and 404. */
export async function reportFile(
  folder: RunsFolder,
  name: string,
): Promise<{ readonly type: string; readonly bytes: Buffer }> {
  const missing = new RequestError(404, `${JSON.stringify(name.slice(0, 200))}: no file of a report`);
  const type = TYPES[extname(name)];
  const { reports } = await folder.find();
  if (type === undefined || !reports.includes(name.slice(0, name.lastIndexOf("/")))) throw missing;
  const path = await folder.place(name);
  if (!(await stat(path)).isFile()) throw missing;
  return { type, bytes: await readFile(path) };
}
