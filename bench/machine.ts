/** What the numbers were measured on, and the environments that the measured processes are started in. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism, cpus, release } from "node:os";
import { machineMemory } from "../src/run/machine/available-memory.ts";
import { HUGE_PAGES_TUNABLE, hugePages } from "../src/runtime/huge-pages.node.ts";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  /** The kernel's setting: always, madvise or never; null where there is none. */
  readonly transparentHugePages: string | null;
  /** Whether Longhand's processes get huge pages here, by the setting or by GLIBC_TUNABLES. */
  readonly hugePages: boolean;
  /** What Longhand's processes run with, the user's own value included. */
  readonly glibcTunables: string | null;
  readonly loadAverage: number;
}

export function describeMachine(): Machine {
  const { mode, tunables, active, wouldHelp } = hugePages();
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: availableParallelism(),
    memoryBytes: machineMemory().total,
    kernel: `${process.platform} ${release()} ${process.arch}`,
    transparentHugePages: mode ?? null,
    hugePages: active || wouldHelp,
    glibcTunables: wouldHelp ? HUGE_PAGES_TUNABLE : (tunables ?? null),
    loadAverage: Number(readLoadAverage()),
  };
}

export interface Versions {
  readonly longhand: string;
  /** The commit the checkout stands at, with "+" when files differ from it; null outside a checkout. */
  readonly commit: string | null;
  readonly node: string;
  readonly onnxruntime: string;
}

export function versions(): Versions {
  const require = createRequire(import.meta.url);
  const versionOf = (path: string) => (require(path) as { version: string }).version;
  return {
    longhand: versionOf("../package.json"),
    commit: commit(),
    node: process.version,
    onnxruntime: versionOf("onnxruntime-node/package.json"),
  };
}

/**
 * As the command line starts itself again (src/cli/reexec.ts): with huge pages where the kernel leaves the choice to
 * the program.
 */
export function longhandEnvironment(): NodeJS.ProcessEnv {
  const env = { ...process.env };
  if (hugePages().wouldHelp) env.GLIBC_TUNABLES = HUGE_PAGES_TUNABLE;
  return env;
}

/** As a user runs a PyTorch script: the environment as it is, without tuning of OpenBLAS. */
export function pytorchEnvironment({ hugePages }: { hugePages: boolean }): NodeJS.ProcessEnv {
  const env = { ...process.env };
  delete env.OPENBLAS_CORETYPE;
  delete env.OPENBLAS_L2_SIZE;
  if (hugePages) env.GLIBC_TUNABLES = HUGE_PAGES_TUNABLE;
  return env;
}

function readLoadAverage(): string {
  return existsSync("/proc/loadavg") ? readFileSync("/proc/loadavg", "utf8").split(" ")[0] : "NaN";
}

function commit(): string | null {
  const git = (...args: string[]) =>
    execFileSync("git", args, {
      cwd: import.meta.dirname,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  try {
    return (
      git("rev-parse", "--short", "HEAD") + (git("status", "--porcelain", "--untracked-files=no") === "" ? "" : "+")
    );
  } catch {
    return null;
  }
}
