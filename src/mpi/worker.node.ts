/**
 * The one thread of a process that calls MPI, started by thread.node.ts. It waits for the other ranks by asking again and
 * again, less and less often, so that a rank which waits leaves its processor to others; only when all have come does it call
 * what blocks. The memory is that of the thread that asks, which keeps it until it is answered.
 */
import { parentPort, workerData } from "node:worker_threads";
import { LonghandError, messageOf } from "../base/errors.ts";
import { loadMpi, type MpiLibrary, type MpiRequest } from "./library.node.ts";
import { type Answer, type Ending, type Opened, type Operation, type Request, tooLate } from "./operations.ts";

const SPIN_MS = 0.2;
const LONGEST_NAP_MS = 1;

const ending = workerData as Ending;
let loaded: MpiLibrary | undefined;

function endIfAsked(): void {
  if (Atomics.load(ending, 0) !== 0) loaded?.abort(ending[1]);
}

/** Throws "engine" when not all ranks have come within the limit. */
function wait(mpi: MpiLibrary, request: MpiRequest, operation: Operation): void {
  const began = performance.now();
  while (!mpi.arrived(request)) {
    endIfAsked();
    const waited = performance.now() - began;
    if (waited > operation.limitMs) throw new LonghandError("engine", tooLate(operation));
    if (waited > SPIN_MS) Atomics.wait(ending, 0, 0, Math.min(LONGEST_NAP_MS, waited / 16));
  }
}

function perform(operation: Operation): Opened | undefined {
  if (operation.kind === "open") {
    loaded = loadMpi(operation.libraries);
    loaded.initialise();
    return { version: loaded.version, ...loaded.place() };
  }
  const mpi = loaded as MpiLibrary;
  if (operation.kind === "gather") {
    wait(mpi, mpi.beginGather(operation.address, operation.bytes), operation);
    return undefined;
  }
  wait(mpi, mpi.beginBarrier(), operation);
  if (operation.kind === "sum") mpi.sum(operation.address, operation.length);
  else if (operation.kind === "broadcast") mpi.broadcast(operation);
  else mpi.finalise();
  return undefined;
}

const port = parentPort as NonNullable<typeof parentPort>;
port.on("message", (request: Request | "end") => {
  endIfAsked();
  if (request === "end") return;
  const { id, operation } = request;
  const answer = (rest: Omit<Answer, "id">) => port.postMessage({ id, ...rest } satisfies Answer);
  try {
    answer({ opened: perform(operation) });
    if (operation.kind === "close") port.close();
  } catch (error) {
    answer({ problem: messageOf(error) });
  }
});
