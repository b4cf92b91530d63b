/** One run in full: its configuration, checkpoints, files, and the commands that a person would type for it. */
import { readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { listCheckpoints } from "../../checkpoint/checkpoints.node.ts";
import type { Differences, RunDetails, RunSummary } from "../api.ts";
import { commandLine } from "../training/shell.ts";
import { shownConfig } from "./summary.ts";

type Command = RunDetails["commands"][number];

/** `path`: where the run lies, as the user names it. */
export async function detailsOf(summary: RunSummary, path: string): Promise<RunDetails> {
  const checkpoints = await listCheckpoints(path);
  return {
    summary,
    config: summary.status === "damaged" ? {} : await shownConfig(path),
    checkpoints: await Promise.all(checkpoints.map(async ({ step, path }) => ({ step, bytes: await bytesIn(path) }))),
    files: await filesIn(path),
    commands: commandsFor(summary, path),
  };
}

function commandsFor({ status, objective, checkpoint, run }: RunSummary, path: string): Command[] {
  if (status === "damaged" || checkpoint === undefined) return [];
  const line = (...words: string[]) => commandLine(["longhand", ...words]);
  const use: Command[] =
    objective === "masked"
      ? [{ what: "fill", line: line("fill", path, "It was a [MASK] day.") }]
      : [
          { what: "generate", line: line("generate", path, "It was") },
          { what: "serve", line: line("serve", path) },
        ];
  const resume: Command[] = status === "stopped" ? [{ what: "resume", line: line("train", "--resume", path) }] : [];
  return [...resume, ...use, { what: "eval", line: line("eval", path, "--data", `${basename(run)}.txt`) }];
}

/** The files of a folder itself, without those of its folders. */
export async function filesIn(folder: string): Promise<{ name: string; bytes: number }[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isFile() && !entry.name.startsWith(".")).map(({ name }) => name);
  return Promise.all(names.sort().map(async (name) => ({ name, bytes: (await stat(join(folder, name))).size })));
}

async function bytesIn(folder: string): Promise<number> {
  return (await filesIn(folder).catch(() => [])).reduce((sum, { bytes }) => sum + bytes, 0);
}

/** The fields by dotted name. Lists are values. */
function flat(value: unknown, name = ""): [string, unknown][] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [[name, value]];
  return Object.entries(value).flatMap(([key, inner]) => flat(inner, name === "" ? key : `${name}.${key}`));
}

export function differencesOf(
  runs: readonly string[],
  configs: readonly Readonly<Record<string, unknown>>[],
): Differences {
  const all = configs.map((config) => new Map(flat(config)));
  const names = [...new Set(all.flatMap((fields) => [...fields.keys()]))];
  const fields = names
    .map((name) => ({ name, values: all.map((fields) => fields.get(name) ?? null) }))
    .filter(({ values: [first, ...others] }) => others.some((own) => JSON.stringify(own) !== JSON.stringify(first)));
  return { runs, fields, same: names.length - fields.length };
}
