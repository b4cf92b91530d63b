/**
 * The processors of this machine, and how many of them this process may use: those that its affinity names, and no more
 * than its control groups let it have at a time (`docker run --cpus`), which Node 20 does not look at.
 */
import { availableParallelism, cpus } from "node:os";
import { join } from "node:path";
import { type ControlGroup, controlGroups, readIfThere } from "./control-groups.node.ts";

export interface Processors {
  /** As the maker calls them. */
  readonly name: string;
  readonly available: number;
  readonly all: number;
}

export function processors(): Processors {
  const all = cpus();
  return { name: all[0]?.model.trim() || "unknown processor", available: availableProcessors(), all: all.length };
}

/** At least 1. `root`: where the file system begins. */
export function availableProcessors(root = "/"): number {
  const shares = controlGroups("cpu", root).map(processorsOf);
  // A part of a processor is not worth a thread: the others would wait for it at every operation.
  return Math.max(1, Math.min(availableParallelism(), ...shares.map(Math.floor)));
}

/** Processor time that a group gets in each period, in periods; Infinity without a limit. */
function processorsOf({ version, folder }: ControlGroup): number {
  const numbers = (...names: string[]) =>
    names.flatMap((name) => (readIfThere(join(folder, name)) ?? "").trim().split(/\s+/)).map(Number.parseFloat);
  const [quota, period] = version === 2 ? numbers("cpu.max") : numbers("cpu.cfs_quota_us", "cpu.cfs_period_us");
  return quota > 0 && period > 0 ? quota / period : Infinity; // "max", -1, or no such file
}
