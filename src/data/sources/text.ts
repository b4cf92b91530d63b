/**
 * Text on disk: files of any format that documents.ts reads, a folder of them, a pattern, or standard input. Files are
 * streamed: at no time is more than one read buffer and one document's piece of a text file in memory.
 */
import { createWriteStream } from "node:fs";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, isAbsolute, join, sep } from "node:path";
import { pipeline } from "node:stream/promises";
import { glob } from "tinyglobby";
import { LonghandError, messageOf } from "../../base/errors.ts";
import type { TextSource } from "../text-source.ts";
import { type Format, formatOf, formatOrText, piecesOfFile } from "./documents.ts";
import type { Reading } from "./records.ts";
import { bySplit, type Split, splitNamed } from "./splits.ts";
import { fileError, localFile, type StoredFile } from "./stored-file.ts";

export interface FoundFile {
  readonly file: StoredFile;
  readonly format: Format;
}

export type FilesBySplit = Partial<Record<Split, FoundFile[]>>;

export const DEFAULT_READING: Reading = { field: "text", onWarning: () => {} };

/**
 * Opens a text file, or a folder of them searched recursively: what `findLocal` finds, all splits in one. Throws "data"
 * when there is nothing to read and "io" when the file system refuses; `pieces()` throws "data" at the first byte that
 * is not UTF-8 or is NUL.
 */
export async function openTextSource(path: string, reading: Partial<Reading> = {}): Promise<TextSource> {
  const found = await findLocal(path);
  return sourceOf(path, Object.values(found).flat(), { ...DEFAULT_READING, ...reading });
}

/** A source over files in this order. With `ahead`, the next file is downloaded while one is read. */
export function sourceOf(
  path: string,
  files: readonly FoundFile[],
  reading: Reading,
  { ahead = false }: { readonly ahead?: boolean } = {},
): TextSource {
  const inputs = files.map(({ file }) => ({ path: file.path, bytes: file.bytes }));
  return {
    path,
    inputs,
    totalBytes: inputs.reduce((sum, input) => sum + input.bytes, 0),
    async *pieces(chosen = [...files.keys()]) {
      const total = chosen.reduce((sum, input) => sum + inputs[input].bytes, 0);
      const enough = new AbortController();
      let before = 0;
      try {
        for (const [at, input] of chosen.entries()) {
          const { file, format } = files[input];
          const next = ahead && at + 1 < chosen.length ? files[chosen[at + 1]].file : undefined;
          let begun = false;
          for await (const { read, ...piece } of piecesOfFile(file, format, reading)) {
            if (!begun) next?.fetchAhead?.(enough.signal);
            begun = true;
            yield { input, ...piece, done: (before + read * file.bytes) / total };
          }
          before += file.bytes;
        }
      } finally {
        enough.abort();
      }
    },
  };
}

/**
 * The files that a path or a pattern (`dump/*.parquet`) stands for. In a folder, hidden entries, empty files and files
 * with unknown endings are left out, links to folders are not followed, and the order is natural: chapter_2 before
 * chapter_10. Folders in it named train, validation and test, and data files whose names begin so, are splits. A file
 * named directly may have any ending and is then text.
 */
export async function findLocal(path: string): Promise<FilesBySplit> {
  const info = await stat(path).catch((error) => error as NodeJS.ErrnoException);
  if (info instanceof Error) {
    if (info.code === "ENOENT" && /[*?[{]/.test(path)) return { train: await matching(path) };
    throw fileError(path, info);
  }
  if (info.isDirectory()) return filesBelow(path);
  const file = await localFile(path);
  if (file.bytes === 0) throw new LonghandError("data", `data: ${path} is empty; give a file with some text`);
  return { train: [{ file, format: formatOrText(basename(path)) }] };
}

/** Standard input, kept in a temporary file, because it is read more than once. */
export async function storeInput(
  input: NodeJS.ReadableStream,
  kind: Format["kind"],
): Promise<{ found: FoundFile; close: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), "longhand-input-"));
  const close = () => rm(folder, { recursive: true, force: true });
  try {
    const path = join(folder, "input");
    await pipeline(input, createWriteStream(path));
    const file = await localFile(path);
    if (file.bytes === 0) throw new LonghandError("data", "data: standard input is empty; give some text");
    return { found: { file: { ...file, path: "standard input" }, format: { kind, compression: "none" } }, close };
  } catch (error) {
    await close();
    if (error instanceof LonghandError) throw error;
    throw new LonghandError("io", `data: cannot keep standard input in ${tmpdir()}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

async function matching(pattern: string): Promise<FoundFile[]> {
  const options = { absolute: isAbsolute(pattern), expandDirectories: false, onlyFiles: true };
  const paths = await glob(pattern.split(sep).join("/"), options);
  if (paths.length === 0) throw new LonghandError("data", `data: no file matches ${pattern}`);
  const files: FoundFile[] = [];
  for (const path of paths.sort(compareNaturally)) {
    const file = await localFile(path);
    if (file.bytes > 0) files.push({ file, format: formatOrText(basename(path)) });
  }
  if (files.length === 0) throw new LonghandError("data", `data: every file that matches ${pattern} is empty`);
  return files;
}

async function filesBelow(folder: string): Promise<FilesBySplit> {
  const found: (FoundFile & { relative: string })[] = [];
  let empty = 0;
  const waiting = [""];
  for (let below = waiting.pop(); below !== undefined; below = waiting.pop()) {
    const here = join(folder, below);
    const entries = await readdir(here, { withFileTypes: true }).catch((error) => {
      throw fileError(here, error);
    });
    for (const entry of entries) {
      if (entry.name.startsWith(".")) continue;
      const relative = join(below, entry.name);
      if (entry.isDirectory()) waiting.push(relative);
      const format = entry.isDirectory() ? undefined : formatOf(entry.name);
      // In a folder, a .json file usually describes the texts beside it; JSON lines are named .jsonl.
      if (format === undefined || /\.json$/i.test(entry.name)) continue;
      const info = await stat(join(folder, relative)).catch((error) => {
        throw fileError(join(folder, relative), error);
      });
      if (!info.isFile()) continue;
      if (info.size === 0) empty++;
      else found.push({ file: await localFile(join(folder, relative)), format, relative });
    }
  }
  const files = oneKind(found, folder);
  if (files.length === 0) {
    throw new LonghandError(
      "data",
      empty > 0
        ? `data: every text file in the folder ${folder} is empty`
        : `data: the folder ${folder} contains no text files; name them .txt or .md, or give one file by its path`,
    );
  }
  files.sort((a, b) => compareNaturally(a.file.path, b.file.path));
  return bySplit(files, splitOfLocal);
}

const ABOUT = /^(readme|license|licence|changelog|contributing)\b/i;

/** Either texts, or data files (JSON lines, parquet) without the texts about them; a folder of both is refused. */
function oneKind<File extends FoundFile & { relative: string }>(found: readonly File[], folder: string): File[] {
  const data = found.filter(({ format }) => format.kind !== "text");
  if (data.length === 0) return [...found];
  const text = found.find(({ format, relative }) => format.kind === "text" && !ABOUT.test(basename(relative)));
  if (text === undefined) return data;
  throw new LonghandError(
    "data",
    `data: the folder ${folder} holds both texts (${text.relative}) and data files (${data[0].relative}); give a pattern such as ${join(folder, `**/*${/\.[^.]+(\.gz|\.zst)?$/.exec(text.relative)?.[0] ?? ".txt"}`)}`,
  );
}

/** By the top folder's name, or for a data file by the first word of its own; a text may be called anything. */
function splitOfLocal({ relative, format }: FoundFile & { relative: string }): Split | undefined {
  const parts = relative.split(sep);
  if (parts.length > 1) return splitNamed(parts[0]);
  return format.kind === "text" ? undefined : splitNamed(/^[A-Za-z]*/.exec(parts[0])?.[0] ?? "");
}

/** Order by runs of digits as numbers and everything else by code units, folder by folder; the same in every locale. */
export function compareNaturally(a: string, b: string): number {
  const left = a.split(/(\d+|[\\/])/);
  const right = b.split(/(\d+|[\\/])/);
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    if (left[i] === right[i]) continue;
    if (/^\d/.test(left[i]) && /^\d/.test(right[i])) {
      const m = BigInt(left[i]);
      const n = BigInt(right[i]);
      if (m !== n) return m < n ? -1 : 1;
    } else if (isSeparator(left[i]) !== isSeparator(right[i])) {
      return isSeparator(left[i]) ? -1 : 1;
    } else return left[i] < right[i] ? -1 : 1;
  }
  return left.length - right.length || (a < b ? -1 : Number(a > b));
}

function isSeparator(part: string): boolean {
  return part === "/" || part === "\\";
}
