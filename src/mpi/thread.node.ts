/**
 * The thread of this process that owns MPI (worker.node.ts), as the others see it: operations in order, each with its time
 * limit. While it is part of a job this process must not end as if all were well, which the launcher would take for the end of
 * the job: until `leave` it ends with a status that is not 0.
 */
import type { Worker } from "node:worker_threads";
import { LonghandError, messageOf } from "../base/errors.ts";
import { exitNow } from "../base/posix.node.ts";
import { scriptBeside, startThread } from "../base/threads.node.ts";
import { type Answer, type Ending, type Opened, type Operation, type Request, tooLate } from "./operations.ts";

/** The thread tells by itself that the others have not come; after so much longer it is stuck inside MPI. */
const STUCK_MS = 5000;
/** MPI_Abort ends this process; where it does not in this time, it ends by itself, and the launcher ends the others. */
const ABORT_MS = 2000;
const LIMITS = { maxYoungGenerationSizeMb: 4 };

interface Pending {
  readonly timer: NodeJS.Timeout;
  settle(answer: Omit<Answer, "id">): void;
}

export class MpiThread {
  readonly #ending: Ending = new Int32Array(new SharedArrayBuffer(8));
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  /** Why no more can be asked. */
  #failure: string | undefined;
  #asked = 0;
  readonly #atExit = (status: number) => exitNow(status === 0 ? 1 : status);

  constructor() {
    // UCX, by which MPICH and Open MPI may send, replaces functions of glibc to hear of memory that is given back, after
    // which V8 crashes at some later allocation; and it takes over signals that Node handles (docs/decisions/0053).
    process.env.UCX_MEM_EVENTS ??= "n";
    process.env.UCX_ERROR_SIGNALS ??= "";
    this.#worker = startThread(scriptBeside(import.meta.url, "worker.node"), { data: this.#ending, limits: LIMITS });
    this.#worker.on("message", (answer: Answer) => this.#settle(answer));
    this.#worker.on("error", (error) => this.#failed(messageOf(error)));
    this.#worker.on("exit", (status) => this.#failed(`it ended with status ${status}`));
    process.on("exit", this.#atExit);
  }

  /** Throws "engine" with why it was not done. */
  ask(operation: Operation): Promise<Opened | undefined> {
    if (this.#failure !== undefined) return Promise.reject(new LonghandError("engine", this.#failure));
    const id = this.#asked++;
    return new Promise((resolve, reject) => {
      const settle = ({ problem, opened }: Omit<Answer, "id">) => {
        if (problem === undefined) resolve(opened);
        else reject(new LonghandError("engine", problem));
      };
      const late = () => this.#settle({ id, problem: tooLate(operation) });
      const timer = setTimeout(late, Math.min(operation.limitMs + STUCK_MS, 2 ** 31 - 1));
      this.#pending.set(id, { timer, settle });
      this.#worker.postMessage({ id, operation } satisfies Request);
    });
  }

  /** Ends the processes of all ranks, this one too. */
  async abort(status: number): Promise<never> {
    this.#ending[1] = status;
    Atomics.store(this.#ending, 0, 1);
    Atomics.notify(this.#ending, 0);
    this.#worker.postMessage("end");
    await new Promise((resolve) => setTimeout(resolve, ABORT_MS));
    return exitNow(status);
  }

  /** After the last operation: the process may end as it likes. */
  leave(): void {
    this.giveUp();
    process.off("exit", this.#atExit);
  }

  /** After a failure: the process does not wait for the thread. */
  giveUp(): void {
    this.#failure ??= "MPI: asked after the end";
    this.#worker.unref();
  }

  #settle({ id, ...answer }: Answer): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return; // it was too late
    this.#pending.delete(id);
    clearTimeout(pending.timer);
    pending.settle(answer);
  }

  #failed(reason: string): void {
    this.#failure ??= `MPI: its thread failed (${reason}); go on from the last checkpoint`;
    for (const id of [...this.#pending.keys()]) this.#settle({ id, problem: this.#failure });
  }
}
