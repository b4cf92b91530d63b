/**
 * Huge pages: on virtual machines matrix products ran two to three times faster with them (docs/results.md). glibc asks
 * the kernel for them when GLIBC_TUNABLES says so at process start, which matters where the kernel's mode is madvise.
 */
import { existsSync, readFileSync } from "node:fs";

export const HUGE_PAGES_TUNABLE = "glibc.malloc.hugetlb=1";

const MODE_FILE = "/sys/kernel/mm/transparent_hugepage/enabled";

export interface HugePages {
  /** The kernel's mode, or undefined where there is none to read. */
  readonly mode: "always" | "madvise" | "never" | undefined;
  /** What GLIBC_TUNABLES says, if anything. */
  readonly tunables: string | undefined;
  /** Whether memory of this process comes in huge pages. */
  readonly active: boolean;
  /** Whether starting again with the tunable set would switch them on. */
  readonly wouldHelp: boolean;
}

export function hugePages(): HugePages {
  const tunables = process.env.GLIBC_TUNABLES;
  const mode = kernelMode();
  const asked = /(^|:)glibc\.malloc\.hugetlb=[12](:|$)/.test(tunables ?? "");
  const active = mode === "always" || (mode === "madvise" && asked);
  return { mode, tunables, active, wouldHelp: mode === "madvise" && tunables === undefined && usesGlibc() };
}

function kernelMode(): HugePages["mode"] {
  if (process.platform !== "linux" || !existsSync(MODE_FILE)) return undefined;
  const chosen = /\[(\w+)\]/.exec(readFileSync(MODE_FILE, "utf8"))?.[1];
  return chosen === "always" || chosen === "madvise" || chosen === "never" ? chosen : undefined;
}

function usesGlibc(): boolean {
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined;
  return report?.header?.glibcVersionRuntime !== undefined;
}
