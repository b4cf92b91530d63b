/** The memory of this machine, within the limits of the control groups (containers) that this process runs in. */
import { freemem, totalmem } from "node:os";
import { join } from "node:path";
import { controlGroups, readIfThere } from "../../base/control-groups.node.ts";
import { LonghandError } from "../../base/errors.ts";

/** Overrides what is measured: bytes, or a number with kB, MB, GB or TB. */
export const MEMORY_LIMIT_VARIABLE = "LONGHAND_MEMORY_LIMIT";

/** Share of all memory that counts as available where the system does not say. */
const USUAL_SHARE = 0.7;

/** Bytes that this process may use, including those it uses already. Throws "usage" for a wrong override. */
export function availableMemory(env: NodeJS.ProcessEnv = process.env): number {
  const limit = env[MEMORY_LIMIT_VARIABLE];
  if (limit !== undefined && limit !== "") return parseBytes(limit);
  return machineMemory().free + process.memoryUsage.rss();
}

/** Bytes of all processes together, and those that are free now, without swapping anything out. */
export function machineMemory(): { readonly total: number; readonly free: number } {
  const groups = groupsOfProcess();
  return {
    total: Math.min(totalmem(), ...groups.map(({ limit }) => limit)),
    free: Math.min(systemMemory(), ...groups.map(({ left }) => left)),
  };
}

function parseBytes(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*([kMGT]?)B?$/i.exec(text) ?? [];
  if (number === undefined) {
    throw new LonghandError("usage", `${MEMORY_LIMIT_VARIABLE}=${text}: expected bytes, such as 16000000000 or 16GB`);
  }
  return Number(number) * 1000 ** ["", "K", "M", "G", "T"].indexOf(unit.toUpperCase());
}

function systemMemory(): number {
  const available = /^MemAvailable:\s+(\d+) kB$/m.exec(readIfThere("/proc/meminfo") ?? "")?.[1];
  return available === undefined ? Math.max(freemem(), USUAL_SHARE * totalmem()) : 1024 * Number(available);
}

interface GroupMemory {
  /** Infinity if there is none. */
  readonly limit: number;
  readonly left: number;
}

/** Of this process. */
function groupsOfProcess(): GroupMemory[] {
  return controlGroups("memory").map(({ version, folder }) =>
    version === 2
      ? memoryOf(folder, "memory.max", "memory.current", "inactive_file")
      : memoryOf(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
  );
}

/** What is left is the limit minus what is used, cached files not counted: they can be dropped. */
function memoryOf(folder: string, limitFile: string, usedFile: string, cached: string): GroupMemory {
  const [limit, used] = [limitFile, usedFile].map((name) => Number.parseInt(readIfThere(join(folder, name)) ?? "", 10));
  if (Number.isNaN(limit)) return { limit: Infinity, left: Infinity }; // "max", or no such file
  if (Number.isNaN(used)) return { limit, left: Infinity };
  const files = new RegExp(`^${cached} (\\d+)$`, "m").exec(readIfThere(join(folder, "memory.stat")) ?? "")?.[1];
  return { limit, left: Math.max(0, limit - used + Number(files ?? 0)) };
}
