/**
 * The energy that the processor takes, where the system counts it: the powercap folder of Linux, which has a counter for
 * each package (processor with its caches) of Intel and AMD. Graphics cards and the rest of the machine are not in it.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "../../base/errors.ts";

export const POWERCAP = "/sys/class/powercap";

export type EnergyMeter =
  /** Joules since the call before. To be asked at least every few minutes: the counters begin again at zero. */
  | { readonly joules: () => number }
  /** Why nothing is told, as half a sentence. */
  | { readonly missing: string };

export function energyMeter(folder = POWERCAP): EnergyMeter {
  try {
    const packages = packagesIn(folder);
    if (packages.length === 0) return { missing: `no processor tells its energy in ${folder}` };
    let before = packages.map(readCounter);
    return {
      joules() {
        const now = packages.map(readCounter);
        const used = now.map((count, i) => (count < before[i] ? count + rangeOf(packages[i]) : count) - before[i]);
        before = now;
        return used.reduce((sum, microjoules) => sum + microjoules, 0) / 1e6;
      },
    };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return { missing: `there is no ${folder}` };
    if (code === "EACCES") return { missing: `root alone may read ${join(folder, "intel-rapl:*", "energy_uj")}` };
    return { missing: messageOf(error) };
  }
}

/** Folders of the counters of whole packages; others are parts of them, or contain them. */
function packagesIn(folder: string): string[] {
  const zones = readdirSync(folder).filter((name) => /^intel-rapl:\d+$/.test(name));
  return zones.map((name) => join(folder, name)).filter((zone) => readText(zone, "name").startsWith("package"));
}

const readText = (zone: string, name: string) => readFileSync(join(zone, name), "utf8").trim();
const readCounter = (zone: string) => Number(readText(zone, "energy_uj"));
/** Microjoules at which the counter begins again. */
const rangeOf = (zone: string) => Number(readText(zone, "max_energy_range_uj"));
