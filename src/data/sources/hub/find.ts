/** Which files of a data set on the hub make up its splits: as the recipe says, or by their endings and names. */
import { LonghandError } from "../../../base/errors.ts";
import { formatOf, formatOrText } from "../documents.ts";
import { bySplit, SPLITS, splitOfPath } from "../splits.ts";
import { compareNaturally, type FilesBySplit } from "../text.ts";
import type { HubAddress } from "./address.ts";
import type { HubEntry } from "./cache.ts";
import type { HubDataset } from "./client.ts";

/** Throws "data" when there is nothing to read. */
export async function findOnHub(dataset: HubDataset, address: HubAddress): Promise<FilesBySplit> {
  return address.recipe === undefined ? byName(dataset, address.path ?? "") : byRecipe(dataset, address.recipe);
}

async function byRecipe(
  dataset: HubDataset,
  { recipe, config }: Required<HubAddress>["recipe"],
): Promise<FilesBySplit> {
  const found: FilesBySplit = {};
  const listings = new Map<string, HubEntry[]>();
  for (const split of SPLITS) {
    const pattern = recipe.splits[split]?.replaceAll("{config}", config ?? "");
    if (pattern === undefined) continue;
    const folder = folderOf(pattern);
    const entries = listings.get(folder) ?? (await dataset.list(folder, false));
    listings.set(folder, entries);
    const files = entries.filter(({ path }) => matches(pattern, path));
    if (files.length > 0) found[split] = foundFiles(dataset, files);
    else if (split === "train") throw nothing(dataset, `files like ${pattern}`, entries);
  }
  return found;
}

async function byName(dataset: HubDataset, path: string): Promise<FilesBySplit> {
  const pattern = path.includes("*");
  const below = pattern ? folderOf(path.slice(0, path.indexOf("*") + 1)) : path;
  let entries = await dataset.list(below, true);
  if (entries.length === 0 && below !== "") {
    entries = (await dataset.list(folderOf(path), false)).filter((entry) => entry.path === path);
  }
  const chosen = pattern ? entries.filter((entry) => matches(path, entry.path)) : readable(entries, path);
  if (chosen.length === 0) throw nothing(dataset, "parquet, JSON lines or text files", entries, path);
  return bySplit(foundFiles(dataset, chosen), ({ entry }) => splitOfPath(entry.path.slice(below.length)));
}

/** Of a data set that holds its text more than once, the best form: parquet, else JSON lines, else text. */
function readable(entries: readonly HubEntry[], path: string): HubEntry[] {
  if (entries.length === 1 && entries[0].path === path) return [...entries];
  const about = /(^|\/)(readme|license|dataset_infos?|config|\.[^/]*)(\.[a-z]+)?$/i;
  for (const kind of ["parquet", "json-lines", "text"]) {
    const files = entries.filter(({ path }) => formatOf(path)?.kind === kind && !about.test(path));
    if (files.length > 0) return files;
  }
  return [];
}

function foundFiles(dataset: HubDataset, entries: readonly HubEntry[]) {
  return entries
    .toSorted((a, b) => compareNaturally(a.path, b.path))
    .map((entry) => ({
      entry,
      file: dataset.stored(entry),
      format: formatOrText(entry.path),
    }));
}

function nothing({ name, commit }: HubDataset, wanted: string, there: readonly HubEntry[], path = ""): LonghandError {
  const some = there.slice(0, 5).map((entry) => entry.path);
  const more = there.length > some.length ? ` and ${there.length - some.length} more` : "";
  const has = some.length === 0 ? "it holds nothing there" : `it holds ${some.join(", ")}${more}`;
  const where = path === "" ? name : `${name}/${path}`;
  return new LonghandError("data", `hub: ${where} has no ${wanted} at commit ${commit.slice(0, 12)}; ${has}`);
}

function folderOf(path: string): string {
  return path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "";
}

/** Two stars match anything, one anything but a slash. */
function matches(pattern: string, path: string): boolean {
  const parts = pattern.split(/(\*\*\/?|\*)/).map((part) => {
    if (part.startsWith("**")) return ".*";
    return part === "*" ? "[^/]*" : part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  });
  return new RegExp(`^${parts.join("")}$`).test(path);
}
