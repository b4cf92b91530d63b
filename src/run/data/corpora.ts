/** What a run is to learn, of the settings: one corpus, or several by weight; their names; the folder named after them. */
import { basename, dirname, extname, join, resolve } from "node:path";
import { LonghandError } from "../../base/errors.ts";
import { type DataSpec, nameOf } from "../../data/sources/corpus.ts";
import { isHubAddress } from "../../data/sources/hub/address.ts";
import type { TrainSettings } from "../settings.ts";
import { preparedParts, refuseTextOptions } from "./run-data.ts";

/** One corpus of a run. */
export interface DataPart {
  readonly data: DataSpec;
  /** Above 0. */
  readonly weight: number;
  /** How a text is read. */
  readonly field?: string | undefined;
  readonly split?: string | undefined;
  readonly limit?: string | undefined;
}

/** So large a weight, or so many, makes no sum that is not finite. */
const LARGEST_WEIGHT = 1e9;

/**
 * The corpora of `--data` or `--mix`. What says how to read a text holds for each part of a mixture that is text and does
 * not say it itself. Throws "usage" when neither or both are given, for a part without a weight above 0, for the same part
 * twice, and when there is no text to be read so.
 */
export function trainingParts(
  settings: Pick<TrainSettings, "data" | "mix" | "field" | "split" | "limit" | "evalData">,
): DataPart[] {
  const { data, mix, field, split, limit, evalData } = settings;
  if (mix === undefined) {
    if (data === undefined)
      throw new LonghandError("usage", "`data` is missing: give a text to learn, or `resume` a run");
    return [{ data, weight: 1, field, split, limit }];
  }
  if (data !== undefined) {
    throw new LonghandError(
      "usage",
      `\`data\` ${nameOf(data)} cannot be combined with \`mix\`: make it one of its parts`,
    );
  }
  const parts = (typeof mix === "string" ? [mix] : mix).map((part) => {
    const own = typeof part === "string" ? parsePart(part) : part;
    return preparedParts(own.data) === undefined ? { field, split, limit, ...own } : { ...own };
  });
  if (parts.every((part) => preparedParts(part.data) !== undefined)) {
    refuseTextOptions(parts[0].data, { field: evalData === undefined ? field : undefined, split, limit });
  }
  const seen = new Set<string>();
  for (const { data, weight, field, split, limit } of parts) {
    if (!isWeight(weight)) throw wrongWeight(`${nameOf(data)}=${weight}`);
    // Standard input is there once, however it is read.
    const reading = data === "-" ? [] : [field ?? "", split ?? "", limit ?? ""];
    const same = JSON.stringify([[dataPath(data)].flat(), reading]);
    if (seen.has(same)) {
      throw new LonghandError(
        "usage",
        `\`mix\` ${nameOf(data)}: it is given twice; give it once, with its whole weight`,
      );
    }
    seen.add(same);
  }
  return parts;
}

/** data=weight; the data may hold a = too. */
function parsePart(text: string): { data: string; weight: number } {
  const at = text.lastIndexOf("=");
  const [data, weight] = [text.slice(0, at), text.slice(at + 1)];
  if (at < 1 || weight.trim() === "" || !isWeight(Number(weight))) throw wrongWeight(text);
  return { data, weight: Number(weight) };
}

function isWeight(weight: number): boolean {
  return weight > 0 && weight <= LARGEST_WEIGHT;
}

function wrongWeight(part: string): LonghandError {
  return new LonghandError(
    "usage",
    `\`mix\` ${part}: expected data=weight with a weight above 0 and at most 1e9, for example data/wiki=3`,
  );
}

/** Absolute, where it is a path. */
export function dataPath(data: DataSpec): DataSpec {
  if (typeof data !== "string") return data.map((path) => resolve(path));
  return data === "-" || isHubAddress(data) ? data : resolve(data);
}

/** Short names of corpora, all different: book, c4-en, book-2. */
export function partNames(specs: readonly DataSpec[]): string[] {
  const names: string[] = [];
  for (const spec of specs) {
    const name = shortName(spec);
    let own = name;
    for (let i = 2; names.includes(own); i++) own = `${name}-${i}`;
    names.push(own);
  }
  return names;
}

/** runs/<name of the data without its ending>; of a mixture the names of the first few, joined by "+". */
export function defaultRunFolder(specs: readonly DataSpec[]): string {
  return join("runs", specs.slice(0, 4).map(shortName).join("+"));
}

/** The name of a path without its ending; of hub:c4/en c4-en, of a pattern its folder's, of standard input stdin. */
function shortName(spec: DataSpec): string {
  const data = typeof spec === "string" ? spec : spec[0];
  if (data === "-") return "stdin";
  if (isHubAddress(data)) {
    return data
      .slice("hub:".length)
      .replace(/@[^/]*/, "")
      .replace(/[^\w.-]+/g, "-");
  }
  const path = resolve(data);
  const name = basename(/[*?[{]/.test(basename(path)) ? dirname(path) : path);
  return basename(name, extname(name)).replace(/[*?[\]{}]/g, "") || "text";
}
