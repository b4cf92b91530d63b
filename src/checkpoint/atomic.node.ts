/**
 * Files and folders that appear complete or not at all, whenever the process is killed or the power fails: written
 * beside the target under a hidden temporary name, flushed to the disk, then renamed.
 */
import { randomUUID } from "node:crypto";
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { systemCode, type WriteAdvice, writeError, writeFlushed } from "../base/files.node.ts";
import { isRunning } from "./processes.node.ts";

/** ".NAME.tmp-PID-RANDOM" is being written; ".NAME.old-PID-RANDOM" is what a new NAME is about to replace. */
const TEMPORARY = /^\.(.+)\.(tmp|old)-(\d+)-[0-9a-f]{8}$/;

/** A hidden name beside `path`, of this process, for what is being written (or, "old", about to be replaced). */
export function temporaryName(path: string, kind: "tmp" | "old" = "tmp"): string {
  return join(dirname(path), `.${basename(path)}.${kind}-${process.pid}-${randomUUID().slice(0, 8)}`);
}

/**
 * Creates or replaces a file: afterwards `path` holds all the chunks (text as UTF-8) and is on the disk, or it is as it
 * was before. Throws `io` naming the path and what is the matter.
 */
export async function writeFileAtomic(
  path: string,
  chunks: readonly (Uint8Array | string)[],
  advice: WriteAdvice = {},
): Promise<void> {
  const temporary = temporaryName(path);
  const bytes = chunks.reduce((sum, chunk) => sum + Buffer.byteLength(chunk), 0);
  try {
    await writeFlushed(temporary, chunks, "wx");
    await rename(temporary, path);
    await syncDirectory(dirname(path));
  } catch (error) {
    await discard(temporary);
    throw writeError(error, path, { bytes, ...advice });
  }
}

/**
 * Creates or replaces a folder: `fill` writes what belongs in it to the temporary folder that it is given; afterwards
 * `path` holds that and is on the disk, or it is as it was before. What `fill` throws is rethrown, system errors as
 * `io`. A folder that is replaced is missing only between two renames; if the process dies just then, `setAside` finds
 * it and `removeStaleTemporaries` puts it back.
 */
export async function writeDirectoryAtomic(
  path: string,
  fill: (temporary: string) => Promise<void>,
  advice: WriteAdvice = {},
): Promise<void> {
  const temporary = temporaryName(path);
  try {
    await mkdir(temporary);
    await fill(temporary);
    await syncTree(temporary);
    await moveInPlace(temporary, path);
  } catch (error) {
    await discard(temporary);
    throw writeError(error, path, advice);
  }
}

/** Renames a folder before its files are removed, so that under its name it is never half there. Throws `io`. */
export async function removeDirectoryAtomic(path: string): Promise<void> {
  const temporary = temporaryName(path);
  try {
    await rename(path, temporary);
    await rm(temporary, { recursive: true, force: true });
  } catch (error) {
    throw writeError(error, path);
  }
}

/**
 * Clears `directory` of what killed writers left: half-written temporaries are removed, a folder that was set aside and
 * not replaced is put back. Temporaries of other processes that still run are left alone unless `all` says that nobody
 * can be writing (a lock is held); this process itself must not be writing there. A missing directory has none.
 * With `of`, only those of that path. Returns how many were found. Throws `io`.
 */
export async function removeStaleTemporaries(
  directory: string,
  options: { all?: boolean; of?: string } = {},
): Promise<number> {
  let found = 0;
  for (const name of await namesIn(directory)) {
    const [, original, kind, pid] = TEMPORARY.exec(name) ?? [];
    if (original === undefined || (options.of !== undefined && original !== basename(options.of))) continue;
    if (!options.all && Number(pid) !== process.pid && isRunning(Number(pid))) continue;
    const path = join(directory, name);
    try {
      if (kind === "old" && !(await namesIn(directory)).includes(original))
        await rename(path, join(directory, original));
      else await rm(path, { recursive: true, force: true });
    } catch (error) {
      throw writeError(error, path);
    }
    found++;
  }
  return found;
}

/** Whether a file name is one of the hidden ones that this module makes. */
export function isTemporaryName(name: string): boolean {
  return TEMPORARY.test(name);
}

/** Folders whose replacement was interrupted between the two renames: the name each had -> the name it has now. */
export async function setAside(directory: string): Promise<Map<string, string>> {
  const names = await namesIn(directory);
  const aside = new Map<string, string>();
  for (const name of names) {
    const [, original, kind] = TEMPORARY.exec(name) ?? [];
    if (kind === "old" && !names.includes(original)) aside.set(original, name);
  }
  return aside;
}

/** The names in a folder; none when there is no such folder. */
async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw writeError(error, directory);
  }
}

async function moveInPlace(temporary: string, path: string): Promise<void> {
  const aside = temporaryName(path, "old");
  let replacing = true;
  try {
    await rename(path, aside);
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
    replacing = false;
  }
  try {
    await rename(temporary, path);
  } catch (error) {
    if (replacing) await rename(aside, path);
    throw error;
  }
  await syncDirectory(dirname(path));
  if (replacing) await discard(aside);
}

/** Removes without failing, so that the error being reported is not hidden; what is left is removed as stale later. */
async function discard(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true }).catch(() => undefined);
}

async function syncTree(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await syncTree(path);
    else if (entry.isFile()) await syncPath(path, "r+");
  }
  await syncDirectory(directory);
}

/** Makes renames inside a folder durable. Windows and some network file systems have no such call. */
async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === "win32") return;
  try {
    await syncPath(directory, "r");
  } catch (error) {
    if (systemCode(error) !== "EINVAL" && systemCode(error) !== "ENOTSUP") throw error;
  }
}

async function syncPath(path: string, flags: "r" | "r+"): Promise<void> {
  const file = await open(path, flags);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
