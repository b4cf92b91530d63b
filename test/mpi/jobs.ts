/** The real command as an MPI job: so many processes under a launcher of this machine, each with one thread. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Running, type RunOptions, start } from "../cli/command.ts";
import { findMpich, findOpenMpi } from "../system/packages.ts";

export const launchers = { mpich: findMpich(), openMpi: findOpenMpi() } as const;

/** For the names of tests that are skipped. */
export const without = (launcher: string | undefined) =>
  launcher === undefined ? " (needs MPICH and Open MPI: npm run system-packages)" : "";

/** Open MPI refuses root, and more processes than processors, unless it is told. */
const ALLOWED = {
  OMPI_MCA_rmaps_base_oversubscribe: "1",
  ...{ OMPI_ALLOW_RUN_AS_ROOT: "1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1" },
};

export interface JobOptions extends RunOptions {
  /** Default: MPICH's. */
  readonly launcher?: string | undefined;
}

/** Starts `longhand …` in so many processes. */
export function startJob(size: number, args: readonly string[], options: JobOptions = {}): Running {
  const { launcher = launchers.mpich, env, through = [], ...rest } = options;
  const job = [launcher as string, "-n", `${size}`];
  return start(args, { ...rest, env: { ...ALLOWED, ...env }, through: [...through, ...job] });
}

/** The process of a rank of the job that trains into this run, once it is there. */
export function processOf(run: string, rank: number): number {
  const found = readdirSync("/proc").find((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const [words, variables] = ["cmdline", "environ"].map((name) => {
        return readFileSync(`/proc/${pid}/${name}`, "utf8").split("\0");
      });
      return words[0].endsWith("node") && words.includes(run) && variables.includes(`PMI_RANK=${rank}`);
    } catch {
      return false; // it ended meanwhile
    }
  });
  if (found === undefined) throw new Error(`no process of rank ${rank} trains into ${run}`);
  return Number(found);
}

/** Steps of the checkpoints that a run has, the last one last. */
export function checkpointsOf(run: string): number[] {
  const folder = join(run, "checkpoints");
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return names.flatMap((name) => /^step-(\d{8})$/.exec(name)?.[1] ?? []).map(Number);
}
