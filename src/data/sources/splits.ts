/** The splits that data sets are published in, and how file names say which split they belong to. */
import { LonghandError, nearest } from "../../base/errors.ts";

/** In the order in which they are prepared. */
export const SPLITS = ["train", "validation", "test"] as const;

export type Split = (typeof SPLITS)[number];

const WORDS: Readonly<Record<string, Split>> = {
  train: "train",
  training: "train",
  validation: "validation",
  valid: "validation",
  val: "validation",
  dev: "validation",
  test: "test",
  testing: "test",
};

/** The split that a name is, whole ("train", "dev"); undefined for any other. */
export function splitNamed(name: string): Split | undefined {
  return WORDS[name.toLowerCase()];
}

/** The split that a path names by a word of the file's name or else of a folder's, the innermost first. */
export function splitOfPath(path: string): Split | undefined {
  for (const part of path.split("/").reverse()) {
    for (const word of part.split(/[^A-Za-z]+/)) {
      const split = splitNamed(word);
      if (split !== undefined) return split;
    }
  }
  return undefined;
}

/** Checks what a user gave as a split; throws "usage". */
export function parseSplit(name: string): Split {
  const split = splitNamed(name);
  if (split !== undefined) return split;
  const guess = nearest(name, SPLITS);
  throw new LonghandError(
    "usage",
    `\`split\` ${name}: expected ${SPLITS.join(", ")}${guess === undefined ? "" : ` (did you mean ${guess}?)`}`,
  );
}

/** Files by split. All are "train" when none of them names that split. */
export function bySplit<File>(
  files: readonly File[],
  splitOf: (file: File) => Split | undefined,
): Partial<Record<Split, File[]>> {
  const told = files.map(splitOf);
  if (!told.includes("train")) return { train: [...files] };
  const found: Partial<Record<Split, File[]>> = {};
  for (const split of SPLITS) {
    const members = files.filter((_, i) => told[i] === split);
    if (members.length > 0) found[split] = members;
  }
  return found;
}
