/** Which MPI this machine has, tried: two processes under each launcher that there is, or one by itself. */
import { execFile } from "node:child_process";
import { accessSync, constants, realpathSync } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { messageOf } from "../base/errors.ts";
import { scriptBeside } from "../base/threads.node.ts";

/** MPICH's and Open MPI's by the names that tell them apart, then the one that a system prefers. */
const LAUNCHERS = ["mpiexec.mpich", "mpirun.openmpi", "mpiexec.hydra", "mpirun", "mpiexec"];
const PATIENCE_MS = 30_000;
/** Each process may be the only one that its machine has a processor for, and the user root: both are harmless here. */
const ALLOWED = {
  OMPI_MCA_rmaps_base_oversubscribe: "1",
  ...{ OMPI_ALLOW_RUN_AS_ROOT: "1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1" },
};

export interface Probed {
  /** The program that starts processes; undefined for a process by itself. */
  readonly launcher?: string;
  /** Of the library, as it calls itself. */
  readonly version?: string;
  /** Why it did not work. */
  readonly problem?: string;
}

/** One for each launcher; without any, one for the library. */
export async function lookForMpi(): Promise<Probed[]> {
  const launchers = new Map<string, string>();
  for (const name of LAUNCHERS) {
    const path = find(name);
    if (path !== undefined && !launchers.has(path)) launchers.set(path, name);
  }
  if (launchers.size === 0) return [await probe()];
  const probed: Probed[] = [];
  for (const launcher of launchers.values()) probed.push({ launcher, ...(await probe(launcher)) });
  return probed;
}

/** Where a program lies that the shell would find. */
function find(name: string): string | undefined {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    try {
      const path = join(folder, name);
      accessSync(path, constants.X_OK);
      return realpathSync(path);
    } catch {
      // not in this folder
    }
  }
  return undefined;
}

async function probe(launcher?: string): Promise<Omit<Probed, "launcher">> {
  const script = scriptBeside(import.meta.url, "probe.node");
  const own = [process.execPath, ...(script.pathname.endsWith(".ts") ? ["--import", "tsx"] : []), script.pathname];
  const [file, ...args] = launcher === undefined ? own : [launcher, "-n", "2", ...own];
  // Of a job that this process may itself be a part of, its children must not know.
  const outside = Object.entries(process.env).filter(([name]) => !/^(PMI|OMPI|PRTE|HYDR|MPIR?_)/.test(name));
  const env = { ...Object.fromEntries(outside), ...ALLOWED };
  try {
    const { stdout } = await promisify(execFile)(file, args, { env, timeout: PATIENCE_MS, killSignal: "SIGKILL" });
    const { version } = JSON.parse(stdout) as { readonly version: string };
    return { version };
  } catch (error) {
    const said = (error as { readonly stderr?: string }).stderr ?? "";
    return { problem: said.split("\n").find((line) => line.startsWith("MPI")) ?? messageOf(error).split("\n", 1)[0] };
  }
}
