/** How much memory there is: of the machine, or of the container that this process runs in. */
import { readFileSync } from "node:fs";
import { freemem, totalmem } from "node:os";

const CGROUP = "/sys/fs/cgroup";

/** Bytes that processes here can have together. */
export function totalMemory(): number {
  return Math.min(totalmem(), cgroupNumber("memory.max") ?? Number.POSITIVE_INFINITY);
}

/** Bytes that could be allocated now without pushing anything out, caches of files not counted as used. */
export function availableMemory(): number {
  return Math.min(machineAvailable(), cgroupAvailable());
}

function machineAvailable(): number {
  const kibibytes = /MemAvailable:\s+(\d+) kB/.exec(textOf("/proc/meminfo") ?? "")?.[1];
  return kibibytes === undefined ? freemem() : Number(kibibytes) * 1024;
}

function cgroupAvailable(): number {
  const limit = cgroupNumber("memory.max");
  const current = cgroupNumber("memory.current");
  if (limit === undefined || current === undefined) return Number.POSITIVE_INFINITY;
  const cache = /^inactive_file (\d+)$/m.exec(textOf(`${CGROUP}/memory.stat`) ?? "")?.[1] ?? 0;
  return limit - (current - Number(cache));
}

/** Undefined where there is no such limit ("max") or no such file. */
function cgroupNumber(name: string): number | undefined {
  const number = Number(textOf(`${CGROUP}/${name}`)?.trim() || Number.NaN);
  return Number.isFinite(number) ? number : undefined;
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
