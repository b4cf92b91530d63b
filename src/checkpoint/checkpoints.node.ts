/**
 * The checkpoints of a run folder: `checkpoints/step-00000500/{model.safetensors, optimizer.safetensors, state.json}`, and
 * carried.safetensors where training carries states on.
 * One appears complete or not at all; reading verifies every byte against the checksums in `state.json`; a damaged one
 * is skipped for the one before it.
 */
import { existsSync } from "node:fs";
import { mkdir, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { LonghandError } from "../base/errors.ts";
import { sha256, systemCode, writeError, writeFlushed } from "../base/files.node.ts";
import { removeDirectoryAtomic, removeStaleTemporaries, setAside, writeDirectoryAtomic } from "./atomic.node.ts";
import {
  type CheckpointContent,
  type CheckpointParts,
  type CheckpointReader,
  checkpointFolder,
  decodeCheckpoint,
  encodeCheckpoint,
  type FullCheckpoint,
  type ModelCheckpoint,
  readManifest,
  stepOfFolder,
} from "./checkpoint-files.ts";
import { checkpointReadError, readWhole } from "./read.node.ts";

export type { CheckpointContent, FullCheckpoint } from "./checkpoint-files.ts";

interface SaveOptions extends CheckpointContent {
  /** How many checkpoints to keep, 1 or more: the newest up to this one. */
  readonly keep: number;
  /** The checkpoint of this step is kept in any case. */
  readonly always?: number | undefined;
  /** Called with one sentence when an old checkpoint could not be removed; without it that is an error. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

interface CheckpointPlace {
  readonly step: number;
  readonly path: string;
}

/** What to read: generation needs only the model, training all. */
interface LoadOptions {
  readonly parts?: CheckpointParts;
  /** Called with one sentence about each damaged checkpoint that is skipped. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

const folderOf = (runDir: string): string => join(runDir, "checkpoints");

/**
 * Saves a checkpoint and returns its path; a checkpoint of the same step is replaced. Once it is safely on the disk,
 * older ones beyond the newest `keep` complete ones are removed; if anything fails before, all older ones are still
 * there. One save at a time; tensors must not change until it settles. Throws `checkpoint` for tensors or state that
 * cannot be saved, and `io` when the system refuses, saying how much space is missing when the disk is full.
 */
export async function saveCheckpoint(runDir: string, options: SaveOptions): Promise<string> {
  const { keep, always, onWarning, ...content } = options;
  const { step } = content;
  if (!Number.isSafeInteger(keep) || keep < 1) {
    throw new LonghandError("config", `keep: expected an integer of 1 or more, got ${keep}`);
  }
  const files = encodeCheckpoint(content, sha256);
  const folder = folderOf(runDir);
  const path = join(folder, checkpointFolder(step));
  const bytes = files.flatMap(({ parts }) => parts).reduce((sum, part) => sum + Buffer.byteLength(part), 0);
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    throw writeError(error, folder);
  }
  await removeStaleTemporaries(folder);
  await writeDirectoryAtomic(
    path,
    async (temporary) => {
      for (const { name, parts } of files) await writeFlushed(join(temporary, name), parts, "wx");
    },
    { bytes, again: `go on with \`resume\` ${runDir}` },
  );
  await prune(runDir, { step, keep, always, onWarning });
  return path;
}

/** Checkpoints after `step` stay: training was resumed before them and will replace them. */
async function prune(
  runDir: string,
  { step, keep, always, onWarning }: Pick<SaveOptions, "step" | "keep" | "always" | "onWarning">,
): Promise<void> {
  let kept = 0;
  for (const place of (await listCheckpoints(runDir)).toReversed()) {
    if (place.step > step) continue;
    if (kept < keep) {
      if (place.step === step || (await looksComplete(place.path))) kept++;
      continue;
    }
    if (place.step === always) continue;
    try {
      await removeDirectoryAtomic(place.path);
    } catch (error) {
      if (onWarning === undefined || !(error instanceof LonghandError)) throw error;
      onWarning(`the old checkpoint ${place.path} could not be removed: ${error.message}`);
    }
  }
}

/** Whether all files are there at their full length; their bytes are not read. */
async function looksComplete(path: string): Promise<boolean> {
  try {
    const { files } = await readManifest(readerOf(path));
    for (const [file, { bytes }] of Object.entries(files)) {
      if ((await stat(join(path, file))).size !== bytes) return false;
    }
    return true;
  } catch {
    return false;
  }
}

/** The checkpoints of a run folder, oldest first, not verified; none when nothing was saved. Throws `io`. */
export async function listCheckpoints(runDir: string): Promise<CheckpointPlace[]> {
  const folder = folderOf(runDir);
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    if (systemCode(error) === "ENOENT" || systemCode(error) === "ENOTDIR") return [];
    throw checkpointReadError(error, folder);
  }
  const places = new Map(names.map((name) => [name, name]));
  for (const [original, name] of await setAside(folder)) places.set(original, name);
  return [...places]
    .flatMap(([name, present]) => {
      const step = stepOfFolder(name);
      return step === undefined ? [] : [{ step, path: join(folder, present) }];
    })
    .sort((a, b) => a.step - b.step);
}

/**
 * Reads and verifies one checkpoint folder. Throws `checkpoint` naming the file at fault when anything is missing, cut
 * short, changed or of another version, and `io` when the system refuses to read.
 */
export async function loadCheckpoint(path: string, options: { parts: "model" }): Promise<ModelCheckpoint>;
export async function loadCheckpoint(path: string, options?: { parts?: "all" }): Promise<FullCheckpoint>;
export async function loadCheckpoint(
  path: string,
  { parts = "all" }: { parts?: CheckpointParts } = {},
): Promise<ModelCheckpoint | FullCheckpoint> {
  return parts === "model" ? decodeCheckpoint(readerOf(path), parts) : decodeCheckpoint(readerOf(path), parts);
}

function readerOf(path: string): CheckpointReader {
  const nameOf = (file: string) => join(path, file);
  return { path, nameOf, read: (file, bytes) => readWhole(nameOf(file), bytes), sha256 };
}

/**
 * The newest intact checkpoint of a run folder; each newer, damaged one is reported to `onWarning`. Training may be
 * saving to the folder meanwhile. Throws `checkpoint` when there is none to use, saying what is wrong with the newest,
 * and `io` when the system refuses to read.
 */
export async function loadLatestCheckpoint(
  runDir: string,
  options: LoadOptions & { parts: "model" },
): Promise<ModelCheckpoint>;
export async function loadLatestCheckpoint(
  runDir: string,
  options?: LoadOptions & { parts?: "all" },
): Promise<FullCheckpoint>;
export async function loadLatestCheckpoint(
  runDir: string,
  { parts = "all", onWarning }: LoadOptions = {},
): Promise<ModelCheckpoint | FullCheckpoint> {
  let tried: string | undefined;
  let places = await listCheckpoints(runDir);
  // Again only when training has meanwhile saved a newer one and removed those that were tried.
  while (places.length > 0 && places.at(-1)?.path !== tried) {
    tried = places.at(-1)?.path;
    let reason: LonghandError | undefined;
    for (const { path } of places.toReversed()) {
      try {
        return parts === "model" ? await loadCheckpoint(path, { parts }) : await loadCheckpoint(path);
      } catch (error) {
        if (!(error instanceof LonghandError) || error.code !== "checkpoint") throw error;
        reason ??= error;
        if (existsSync(path)) onWarning?.(`skipping a damaged checkpoint: ${error.message}`);
      }
    }
    places = await listCheckpoints(runDir);
    if (places.at(-1)?.path === tried) {
      const count = places.length === 1 ? "its only checkpoint is" : `all its ${places.length} checkpoints are`;
      throw new LonghandError("checkpoint", `${runDir}: ${count} damaged: ${reason?.message}`, { cause: reason });
    }
  }
  throw new LonghandError("checkpoint", `${runDir}: it holds no checkpoint yet: training has saved none there`);
}
