/**
 * A run folder as one zip file, and back: what a page hands out, and what it takes of a person's files, zipped or not. Of
 * those only what a run folder has is kept; whether it is whole is seen when it is read.
 */
import { unzipSync, type Zippable, zipSync } from "fflate";
import { LonghandError, messageOf } from "../base/errors.ts";
import { checkpointFolder, utf8Of } from "../checkpoint/checkpoint-files.ts";
import { CONFIG_FILE, configFields } from "../checkpoint/config-file.ts";
import { EXPORT_FORMAT } from "../use/export-files.ts";
import type { RunFiles } from "./run-files.ts";
import { CHECKPOINTS, checkpointSteps } from "./web-run.ts";

/** Paths of a run folder that a page reads. */
const OF_RUN =
  /^(config\.json|tokenizer\.json|metrics\.jsonl|rate-search\.json|data\/(train|heldout)\/(shard-\d{5,}\.bin|index\.json|tokenizer\.json)|checkpoints\/step-\d{8,}\/(model|optimizer|carried)\.safetensors|checkpoints\/step-\d{8,}\/state\.json)$/;

/** What does not become smaller. */
const NUMBERS = /\.(safetensors|bin)$/;

/** Bytes that an upload may have once it is unpacked. */
const MOST_BYTES = 2 ** 31;

/** The run with its newest checkpoint, as a folder of this name in a zip file. */
export async function archiveOf(files: RunFiles, name: string): Promise<Uint8Array<ArrayBuffer>> {
  const newest = (await checkpointSteps(files)).at(-1);
  const kept = newest === undefined ? undefined : `${CHECKPOINTS}/${checkpointFolder(newest)}/`;
  const entries: Zippable = {};
  for (const path of await files.list()) {
    if (path.startsWith(`${CHECKPOINTS}/`) && !(kept && path.startsWith(kept))) continue;
    const bytes = await files.read(path);
    if (bytes) entries[`${name}/${path}`] = [bytes, { level: NUMBERS.test(path) ? 0 : 6 }];
  }
  return zipSync(entries) as Uint8Array<ArrayBuffer>;
}

/** A file that a person picked, by itself or in a folder. */
export interface PickedFile {
  /** "book.zip", or below the folder that was picked: "book/config.json". */
  readonly path: string;
  readonly file: File;
}

export interface UnpackedRun {
  /** Of its folder or zip file. */
  readonly name: string;
  readonly files: ReadonlyMap<string, Uint8Array>;
}

/**
 * The run in the files that a person picked: one zip file, or the files of a folder. Throws "checkpoint" where there is no
 * run or export among them, "usage" for more than 2 GiB.
 */
export async function unpackRun(picked: readonly PickedFile[]): Promise<UnpackedRun> {
  const [first] = picked;
  if (first === undefined)
    throw new LonghandError("usage", "files: expected a zip file or a folder of a run, got none");
  const { path: given, file } = first;
  const zipped = picked.length === 1 && (given.toLowerCase().endsWith(".zip") || (await isZip(file)));
  const all = zipped ? unzipped(given, new Uint8Array(await file.arrayBuffer())) : await read(picked);
  const configs = [...all.keys()].filter((path) => path === CONFIG_FILE || path.endsWith(`/${CONFIG_FILE}`));
  const [config] = configs.sort((a, b) => a.split("/").length - b.split("/").length);
  if (config === undefined) {
    throw new LonghandError(
      "checkpoint",
      `${given}: this is no model of Longhand: there is no ${CONFIG_FILE} in it; choose the zip file or folder of a run`,
    );
  }
  refuseExport(all.get(config) as Uint8Array, config);
  const folder = config.slice(0, -CONFIG_FILE.length);
  const own = [...all]
    .filter(([path]) => path.startsWith(folder))
    .map(([path, bytes]) => [path.slice(folder.length), bytes] as const);
  const files = new Map(own.filter(([path]) => OF_RUN.test(path)));
  const called = folder === "" ? given.replace(/\.[^.]*$/, "") : (folder.split("/").at(-2) as string);
  return { name: called, files };
}

/** An export has no more than its weights: there is nothing to go on with. */
function refuseExport(bytes: Uint8Array, file: string): void {
  if (configFields(utf8Of(bytes, file), file).format !== EXPORT_FORMAT) return;
  throw new LonghandError("checkpoint", `${file}: this is an export; to train on, open the run that it was made from`);
}

async function isZip(file: File): Promise<boolean> {
  const [a, b] = new Uint8Array(await file.slice(0, 2).arrayBuffer());
  return a === 0x50 && b === 0x4b;
}

function unzipped(name: string, bytes: Uint8Array): Map<string, Uint8Array> {
  let total = 0;
  const wanted = ({ name: path, originalSize }: { readonly name: string; readonly originalSize: number }) => {
    total += originalSize;
    requireRoom(name, total);
    return !path.endsWith("/");
  };
  try {
    return new Map(Object.entries(unzipSync(bytes, { filter: wanted })));
  } catch (error) {
    if (error instanceof LonghandError) throw error;
    throw new LonghandError("checkpoint", `${name}: this is no zip file, or a damaged one (${messageOf(error)})`, {
      cause: error,
    });
  }
}

async function read(picked: readonly PickedFile[]): Promise<Map<string, Uint8Array>> {
  requireRoom(
    picked[0].path,
    picked.reduce((sum, { file }) => sum + file.size, 0),
  );
  const entries = picked.map(async ({ path, file }) => [path, new Uint8Array(await file.arrayBuffer())] as const);
  return new Map(await Promise.all(entries));
}

function requireRoom(name: string, bytes: number): void {
  if (bytes > MOST_BYTES)
    throw new LonghandError("usage", `${name}: it is larger than 2 GiB, more than a page can train`);
}
