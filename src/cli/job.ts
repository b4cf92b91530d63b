/**
 * A command as one of the processes of an MPI job, started by mpirun, mpiexec or srun. The first process tells what happens;
 * whatever goes wrong with any ends them all with a status that is not 0.
 */
import type { Launch } from "../mpi/launcher.ts";
import { AgreedError } from "../run/train/together.ts";
import type { Communicator } from "../train/communicator.ts";
import type { Streams } from "./output.ts";
import { report, statusOf } from "./report.ts";

/** As a shell says that a process was interrupted. */
export const INTERRUPTED = 130;

/** Does the work with the communicator of the job; in a process that was started by itself, with none. */
export async function inJob(
  launch: Launch | undefined,
  { limitMs, streams }: { readonly limitMs: number; readonly streams: Streams },
  work: (communicator?: Communicator) => Promise<void>,
): Promise<void> {
  if (launch === undefined) return work();
  const { MpiCommunicator } = await import("../mpi/communicator.node.ts");
  const communicator = await MpiCommunicator.open(launch, { limitMs }).catch((error: unknown) => {
    process.exitCode = launch.rank === 0 ? report(error, streams) : statusOf(error);
  });
  if (communicator === undefined) return;
  const fail = (error: unknown) => {
    const who = launch.rank === 0 ? "" : `process ${launch.rank}: `;
    return communicator.abort(report(error, streams, who));
  };
  process.on("uncaughtException", fail);
  try {
    await work(communicator).catch((error: unknown) => {
      if (!(error instanceof AgreedError)) throw error;
      process.exitCode = error.stopped ? INTERRUPTED : statusOf(error.cause);
      if (launch.rank > 0) return;
      if (error.stopped) streams.err.write(STOPPED_EARLY);
      else report(error.cause, streams);
    });
    await communicator.close();
  } catch (error) {
    await fail(error);
  } finally {
    process.off("uncaughtException", fail);
  }
}

export const STOPPED_EARLY = "stopped before the first step: nothing is kept but what was fetched\n";
