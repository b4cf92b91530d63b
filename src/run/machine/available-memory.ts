/** How much memory this process may still take: what the system has left, within the limits of its control groups. */
import { readFileSync } from "node:fs";
import { freemem, totalmem } from "node:os";
import { join } from "node:path";
import { LonghandError } from "../../base/errors.ts";

/** Overrides what is measured: bytes, or a number with kB, MB, GB or TB. */
export const MEMORY_LIMIT_VARIABLE = "LONGHAND_MEMORY_LIMIT";

/** Of all memory, how much is counted as there where the system does not say what is available. */
const USUAL_SHARE = 0.7;

/** Bytes that this process may have in all, what it has already included. Throws "usage" for a wrong override. */
export function availableMemory(env: NodeJS.ProcessEnv = process.env): number {
  const limit = env[MEMORY_LIMIT_VARIABLE];
  if (limit !== undefined && limit !== "") return parseBytes(limit);
  const left = Math.min(systemMemory(), ...groupMemory());
  return left + process.memoryUsage.rss();
}

function parseBytes(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*([kMGT]?)B?$/i.exec(text) ?? [];
  if (number === undefined) {
    throw new LonghandError("usage", `${MEMORY_LIMIT_VARIABLE}=${text}: expected bytes, such as 16000000000 or 16GB`);
  }
  return Number(number) * 1000 ** ["", "K", "M", "G", "T"].indexOf(unit.toUpperCase());
}

function systemMemory(): number {
  const available = /^MemAvailable:\s+(\d+) kB$/m.exec(read("/proc/meminfo") ?? "")?.[1];
  return available === undefined ? Math.max(freemem(), USUAL_SHARE * totalmem()) : 1024 * Number(available);
}

/** What each control group above this process leaves, of version 2 and 1; empty where there is none. */
function groupMemory(): number[] {
  const lines = (read("/proc/self/cgroup") ?? "").split("\n").map((line) => line.split(":"));
  return lines.flatMap(([, controllers, path]) => {
    if (path === undefined) return [];
    if (controllers === "")
      return ancestors("/sys/fs/cgroup", path).map((folder) =>
        leftIn(folder, "memory.max", "memory.current", "inactive_file"),
      );
    if (!controllers.split(",").includes("memory")) return [];
    return ancestors("/sys/fs/cgroup/memory", path).map((folder) =>
      leftIn(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    );
  });
}

/** The folders of a control group and of all above it. In a container the root may stand for the group itself. */
function ancestors(root: string, path: string): string[] {
  const names = path.split("/").filter((name) => name !== "" && name !== "..");
  return [root, ...names.map((_, i) => join(root, ...names.slice(0, i + 1)))];
}

/** The limit less what is used, of which cached files can be given back. */
function leftIn(folder: string, limitFile: string, usedFile: string, cached: string): number {
  const number = (text: string | undefined) => (text === undefined || text.trim() === "max" ? Infinity : Number(text));
  const limit = number(read(join(folder, limitFile)));
  const used = number(read(join(folder, usedFile)));
  if (!Number.isFinite(limit) || !Number.isFinite(used)) return Infinity;
  const files = new RegExp(`^${cached} (\\d+)$`, "m").exec(read(join(folder, "memory.stat")) ?? "")?.[1];
  return Math.max(0, limit - used + Number(files ?? 0));
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
