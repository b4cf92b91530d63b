/**
 * How much memory there is for the processes that are measured: of the machine, or of the container that they run in.
 */
import { readFileSync } from "node:fs";
import { totalmem } from "node:os";
import { availableMemory } from "longhand/tools";

/** Bytes that processes here can have together. */
export function totalMemory(): number {
  return Math.min(totalmem(), containerLimit());
}

/** Bytes that could be allocated now without pushing anything out, whatever limit the user has set. */
export function freeMemory(): number {
  return availableMemory({}) - process.memoryUsage.rss();
}

function containerLimit(): number {
  try {
    const limit = Number(readFileSync("/sys/fs/cgroup/memory.max", "utf8"));
    return Number.isFinite(limit) ? limit : Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY; // no control groups of this version
  }
}

/** 1234567890 -> "1.2 GB" */
export function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
