/**
 * What the launcher of an MPI job (mpirun, mpiexec, srun) tells each process by its environment: how many there are to be, and
 * which one this is. A process finds itself alone when its MPI library and the launcher do not fit together: so what MPI says
 * is compared with this.
 */

export interface Launch {
  /** Processes that were started together; at least 2. */
  readonly size: number;
  /** Number of this one. */
  readonly rank: number;
  /** Who has started them. */
  readonly by: "Open MPI" | "MPICH" | "Slurm";
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Names of the number of processes and of this one's; Slurm's own last, since it sets the others too where it serves them. */
const VARIABLES = [
  ["Open MPI", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"],
  ["MPICH", "PMI_SIZE", "PMI_RANK"],
  ["Slurm", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID"],
] as const;

/** Names a library to load instead of those below. */
export const LIBRARY_VARIABLE = "LONGHAND_MPI";

/** By the names under which systems know them; MPICH's is called libmpi.so.12 where it was built from source. */
const LIBRARIES = { "Open MPI": ["libmpi.so.40"], MPICH: ["libmpich.so.12", "libmpi.so.12"] } as const;

/** Undefined for a process that was started by itself. */
export function launchOf(environment: Environment): Launch | undefined {
  for (const [by, sizeName, rankName] of VARIABLES) {
    const [size, rank] = [environment[sizeName], environment[rankName]].map(Number);
    if (!Number.isSafeInteger(size) || !Number.isSafeInteger(rank)) continue;
    return size > 1 ? { size, rank, by } : undefined;
  }
  return undefined;
}

/** The open files through which the launcher and the process speak. */
export function filesOf({ PMI_FD }: Environment): readonly number[] {
  const file = Number(PMI_FD);
  return PMI_FD !== undefined && Number.isSafeInteger(file) ? [file] : [];
}

/** The libraries to try, in this order; without a launcher every one. */
export function librariesFor(by: Launch["by"] | undefined, environment: Environment): readonly string[] {
  const named = environment[LIBRARY_VARIABLE];
  if (named !== undefined && named !== "") return [named];
  if (by === "MPICH" || by === "Open MPI") return LIBRARIES[by];
  return [...LIBRARIES.MPICH, ...LIBRARIES["Open MPI"]];
}
