/**
 * Training over the processes of an MPI job: the communicator of src/train on MPI. One thread of this process owns MPI, so that
 * the event loop stays free for signals and for time limits.
 */
import { createRequire } from "node:module";
import { LonghandError } from "../base/errors.ts";
import { type Communicator, gatherNumbers, type Meeting } from "../train/communicator.ts";
import { type Launch, LIBRARY_VARIABLE, librariesFor } from "./launcher.ts";
import type { Opened, Operation } from "./operations.ts";
import { MpiThread } from "./thread.node.ts";

export interface MpiOptions {
  /** How long a process waits for the others at each operation. */
  readonly limitMs: number;
}

/** Of MPI_Init, in which processes on many machines find each other. */
const OPEN_MS = 120_000;
/** Values of the sum by which a library is checked: more than one message may hold, and exact in any order. */
const CHECKED = 65_537;

/** An operation without its name and limit. */
type Act = Operation extends infer Each ? (Each extends Operation ? Omit<Each, "what" | "limitMs"> : never) : never;

export class MpiCommunicator implements Communicator {
  readonly rank: number;
  readonly size: number;
  /** Of the library, as it calls itself. */
  readonly version: string;
  readonly #thread: MpiThread;
  readonly #limitMs: number;
  /** Memory that the thread is using. */
  readonly #kept = new Set<ArrayBufferLike>();

  private constructor(thread: MpiThread, { rank, size, version }: Opened, { limitMs }: MpiOptions) {
    this.#thread = thread;
    this.#limitMs = limitMs;
    this.rank = rank;
    this.size = size;
    this.version = version;
  }

  /**
   * Joins the job that this process was started in; without `launch`, a job of this process alone. Throws "engine" without an
   * MPI library or with one that computes a known sum wrongly, "usage" when it finds other processes than were started.
   */
  static async open(launch: Launch | undefined, options: MpiOptions): Promise<MpiCommunicator> {
    const thread = new MpiThread();
    try {
      const libraries = librariesFor(launch?.by, process.env);
      const what = "the beginning, MPI_Init";
      const opened = await thread.ask({ kind: "open", libraries, what, limitMs: OPEN_MS });
      const own = new MpiCommunicator(thread, opened as Opened, options);
      requirePromised(own, launch);
      await own.#check();
      return own;
    } catch (error) {
      thread.giveUp();
      throw error;
    }
  }

  async sum(array: Float32Array, meeting: Meeting): Promise<void> {
    await this.#at(array, (address) => this.#ask({ kind: "sum", address, length: array.length }, meeting));
  }

  async gather(own: Uint8Array, meeting: Meeting): Promise<readonly Uint8Array[]> {
    const bytes = own.length;
    const all = new Uint8Array(bytes * this.size);
    all.set(own, bytes * this.rank);
    await this.#at(all, (address) => this.#ask({ kind: "gather", address, bytes }, meeting));
    return Array.from({ length: this.size }, (_, rank) => all.subarray(rank * bytes, (rank + 1) * bytes));
  }

  async broadcast(array: Uint8Array, meeting: Meeting, root = 0): Promise<void> {
    await this.#at(array, (address) => this.#ask({ kind: "broadcast", address, bytes: array.length, root }, meeting));
  }

  /** Leaves the job, as every rank must before it ends. */
  async close(): Promise<void> {
    await this.#ask({ kind: "close" }, { what: "the end, MPI_Finalize" });
    this.#thread.leave();
  }

  /** Ends the processes of all ranks, this one too, with a status that is not 0. */
  abort(status: number): Promise<never> {
    return this.#thread.abort(status);
  }

  #ask(act: Act, { what, limitMs = this.#limitMs }: Meeting): Promise<Opened | undefined> {
    return this.#thread.ask({ ...act, what, limitMs });
  }

  /** Where the array lies, which is kept there until the thread has answered. */
  async #at(array: Float32Array | Uint8Array, ask: (address: bigint) => Promise<unknown>): Promise<void> {
    const { buffer, byteOffset } = array; // asking for the buffer of a small array keeps it from being moved
    this.#kept.add(buffer);
    try {
      await ask(addressOf(buffer) + BigInt(byteOffset));
    } finally {
      this.#kept.delete(buffer);
    }
  }

  /** A known sum, and the numbers of all ranks. */
  async #check(): Promise<void> {
    const { rank, size } = this;
    const array = Float32Array.from({ length: CHECKED }, (_, i) => (rank + 1) * (i % 16));
    await this.sum(array, { what: "the first sum" });
    const ofRanks = (size * (size + 1)) / 2;
    const wrong = array.findIndex((value, i) => value !== ofRanks * (i % 16));
    const ranks = await gatherNumbers(this, [rank], { what: "the first gathering" });
    if (wrong < 0 && ranks.every(([given], i) => given === i)) return;
    throw new LonghandError(
      "engine",
      `MPI: ${this.version} adds up wrongly over ${size} processes; install another one, or name one by ${LIBRARY_VARIABLE}`,
    );
  }
}

function addressOf(buffer: ArrayBufferLike): bigint {
  const koffi = createRequire(import.meta.url)("koffi") as { address(buffer: ArrayBufferLike): bigint };
  return koffi.address(buffer);
}

/** A library that the launcher does not know finds no other process. */
function requirePromised({ size, rank, version }: MpiCommunicator, launch: Launch | undefined): void {
  if (launch === undefined || (size === launch.size && rank === launch.rank)) return;
  const found = size === launch.size ? `number ${rank}, not ${launch.rank}` : `${size} of ${launch.size} processes`;
  const advice =
    launch.by === "Slurm"
      ? "choose another --mpi of srun (srun --mpi=list), pmix for Open MPI and pmi2 for MPICH"
      : `use the mpirun of the same MPI, or name its library by ${LIBRARY_VARIABLE}`;
  throw new LonghandError("usage", `MPI: ${launch.by} started this job, and ${version} found ${found}; ${advice}`);
}
