/**
 * One training at a time in a run folder: a `.lock` file that names the process that writes there. It appears whole (a
 * hard link to a finished file), so that no kill leaves half a lock; the lock of a process that has ended is taken
 * over.
 */
import { randomUUID } from "node:crypto";
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { LonghandError } from "../base/errors.ts";
import { systemCode, writeError } from "../base/files.node.ts";
import { removeStaleTemporaries, temporaryName } from "./atomic.node.ts";
import { isRunning, processIdentity } from "./processes.node.ts";
import { checkpointReadError } from "./read.node.ts";

export const LOCK_FILE = ".lock";

export interface RunLock {
  /** Frees the folder for the next training, or does nothing the second time. Never throws: a lock left is stale. */
  release(): void;
}

interface LockHolder {
  readonly pid: number;
  readonly host: string;
  /** Distinguishes the process from a later one with the same number, where the system offers it. */
  readonly identity?: string;
  /** Distinguishes this lock from every other. */
  readonly token: string;
}

/**
 * Takes the lock of a run folder, then clears away what killed writers left in it and in its checkpoints. Throws
 * `usage` when a training is running there, on this machine or (as far as can be told) another; `io` when the system
 * refuses.
 */
export async function acquireRunLock(dir: string, work = "training"): Promise<RunLock> {
  const path = join(dir, LOCK_FILE);
  const identity = processIdentity(process.pid);
  const self = { pid: process.pid, host: hostname(), ...(identity === undefined ? {} : { identity }) };
  const mine: LockHolder = { ...self, token: randomUUID() };
  for (let attempt = 0; !createLock(path, mine); attempt++) {
    refuseHeldLock(dir, work);
    if (attempt === 3)
      throw new LonghandError("io", `cannot lock ${dir}: other processes keep taking ${path}; try again`);
    takeAway(path);
  }
  await removeStaleTemporaries(dir, { all: true });
  await removeStaleTemporaries(join(dir, "checkpoints"), { all: true });
  return {
    release: () => {
      try {
        if (readLock(path)?.token === mine.token) rmSync(path, { force: true });
      } catch {
        // The process is about to end, and its lock is then stale.
      }
    },
  };
}

/** The process that works in a run folder; undefined where there is none. Throws `usage` for a lock that cannot be read. */
export function workerIn(dir: string): { readonly pid: number; readonly host: string } | undefined {
  const holder = readLock(join(dir, LOCK_FILE));
  return holder === undefined || isGone(holder) ? undefined : { pid: holder.pid, host: holder.host };
}

/** Throws `usage` when a training that may still run holds the lock of `dir`. */
function refuseHeldLock(dir: string, work: string): void {
  const path = join(dir, LOCK_FILE);
  const holder = workerIn(dir);
  if (holder === undefined) return;
  const where = holder.host === hostname() ? "" : ` on ${holder.host}`;
  const advice =
    holder.host === hostname()
      ? "wait for it or stop it, or choose another folder with `out`"
      : `if that machine is no longer working on it, delete ${path}`;
  throw new LonghandError("usage", `${dir}: process ${holder.pid}${where} is ${work} in this folder; ${advice}`);
}

/** Whether the holder has certainly ended, which can be known only of processes of this machine. */
function isGone({ host, pid, identity }: LockHolder): boolean {
  if (host !== hostname()) return false;
  if (!isRunning(pid)) return true;
  const present = processIdentity(pid);
  return identity !== undefined && present !== undefined && identity !== present;
}

/** Creates the lock, or returns false when there is one. */
function createLock(path: string, holder: LockHolder): boolean {
  const temporary = temporaryName(path);
  const text = `${JSON.stringify(holder)}\n`;
  try {
    writeFileSync(temporary, text, { flag: "wx" });
    try {
      linkSync(temporary, path);
    } catch (error) {
      const code = systemCode(error);
      if (code === "ENOENT") return false; // the training that has just taken the lock cleared our file away
      if (code !== "EPERM" && code !== "ENOTSUP" && code !== "EOPNOTSUPP" && code !== "ENOSYS") throw error;
      writeFileSync(path, text, { flag: "wx" }); // a file system without hard links
    }
    return true;
  } catch (error) {
    if (systemCode(error) === "EEXIST") return false;
    throw writeError(error, path, { bytes: text.length });
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** Removes the lock of a process that has ended; if another training has just taken it over, puts it back. */
function takeAway(path: string): void {
  const aside = temporaryName(path);
  try {
    renameSync(path, aside);
    const holder = readLock(aside);
    if (holder !== undefined && !isGone(holder)) linkSync(aside, path);
  } catch (error) {
    const code = systemCode(error);
    if (code !== "ENOENT" && code !== "EEXIST") throw writeError(error, path);
  } finally {
    rmSync(aside, { force: true });
  }
}

/** Who holds a lock; undefined when nobody does. An unreadable lock counts as held. */
function readLock(path: string): LockHolder | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw checkpointReadError(error, path);
  }
  try {
    const { pid, host, identity, token } = JSON.parse(text);
    if (Number.isSafeInteger(pid) && pid > 0 && typeof host === "string" && typeof token === "string") {
      return { pid, host, token, ...(typeof identity === "string" ? { identity } : {}) };
    }
  } catch {
    // Falls through to the same answer as a lock with other content.
  }
  throw new LonghandError("usage", `${path}: this lock cannot be read; if no training runs there, delete it`);
}
