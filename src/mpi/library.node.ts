/**
 * The MPI library of this system, called through koffi: the few functions that training needs, by MPICH's or Open MPI's
 * conventions. What C programs take from mpi.h differs between them: MPICH's handles are integers, Open MPI's the addresses
 * of symbols. (MPI: A Message-Passing Interface Standard 3.1, chapters 5 and 8; the values are those of both ABIs.)
 */
import { createRequire } from "node:module";
import { LonghandError, messageOf } from "../base/errors.ts";
import { LIBRARY_VARIABLE } from "./launcher.ts";

type Native = (...args: unknown[]) => number;
interface Koffi {
  load(
    path: string,
    options: { global: boolean },
  ): {
    func(name: string, result: string, types: readonly string[]): Native;
    symbol(name: string): bigint;
  };
}

type Handle = number | bigint;

/** The values that C programs find in mpi.h. */
interface Conventions {
  /** How C passes a handle. */
  readonly type: "int" | "void *";
  readonly world: Handle;
  readonly float: Handle;
  readonly byte: Handle;
  readonly add: Handle;
  readonly errorsReturn: Handle;
  readonly inPlace: bigint;
  readonly ignoreStatus: bigint;
}

const mpich: Conventions = {
  type: "int",
  world: 0x44000000,
  float: 0x4c00040a,
  byte: 0x4c00010d,
  add: 0x58000003,
  errorsReturn: 0x54000001,
  inPlace: -1n,
  ignoreStatus: 1n,
};

const openMpi = (symbol: (name: string) => bigint): Conventions => ({
  type: "void *",
  world: symbol("ompi_mpi_comm_world"),
  float: symbol("ompi_mpi_float"),
  byte: symbol("ompi_mpi_byte"),
  add: symbol("ompi_mpi_op_sum"),
  errorsReturn: symbol("ompi_mpi_errors_return"),
  inPlace: 1n,
  ignoreStatus: 0n,
});

/** One thread of a process makes all calls. */
const THREAD_FUNNELED = 1;
/** Counts are 32-bit, and a library may need as much again for itself. */
const MOST_FLOATS = 2 ** 24;
const MOST_BYTES = 2 ** 30;
const VERSION_BYTES = 8192;

/** All throw "engine" with what the library says. Addresses are those of memory that stays where it is until the call returns. */
export interface MpiLibrary {
  /** As it calls itself: "Open MPI v4.1.4", "MPICH 4.0.2". */
  readonly version: string;
  initialise(): void;
  place(): { readonly rank: number; readonly size: number };
  /** Begins to wait for all ranks; `arrived` says whether all have come. */
  beginBarrier(): MpiRequest;
  /** The same for `bytes` of each rank, which lie one after the other from `address`. */
  beginGather(address: bigint, bytes: number): MpiRequest;
  arrived(request: MpiRequest): boolean;
  /** Adds so many floats over all ranks, in place. Blocks until it is done. */
  sum(address: bigint, length: number): void;
  /** Takes so many bytes from rank `root`. Blocks until it is done. */
  broadcast(from: { readonly address: bigint; readonly bytes: number; readonly root: number }): void;
  finalise(): void;
  /** Ends the processes of all ranks. */
  abort(status: number): void;
}

/** Where the library keeps what it knows of an operation that is under way. */
export type MpiRequest = BigUint64Array;

/** Loads the first of these libraries that there is. Throws "engine" when there is none. */
export function loadMpi(names: readonly string[]): MpiLibrary {
  const { koffi, problem } = findKoffi();
  if (koffi === undefined) {
    throw new LonghandError("engine", `MPI needs the package koffi, which cannot be loaded (${problem}); install it`);
  }
  for (const name of names) {
    try {
      return bind(koffi, name);
    } catch (error) {
      if (error instanceof LonghandError) throw error; // found, but not one that is known
    }
  }
  throw new LonghandError(
    "engine",
    `MPI: expected the library ${names.join(" or ")}, got none; install MPICH or Open MPI, or name the file by ${LIBRARY_VARIABLE}`,
  );
}

function findKoffi(): { readonly koffi?: Koffi; readonly problem?: string } {
  try {
    return { koffi: createRequire(import.meta.url)("koffi") as Koffi };
  } catch (error) {
    return { problem: messageOf(error) };
  }
}

function bind(koffi: Koffi, name: string): MpiLibrary {
  const library = koffi.load(name, { global: true }); // the modules of Open MPI look for its symbols
  const text = new Uint8Array(VERSION_BYTES);
  const length = new Int32Array(1);
  library.func("MPI_Get_library_version", "int", ["void *", "void *"])(text, length);
  const said = Buffer.from(text.subarray(0, length[0])).toString();
  const version = /^(?:Open MPI v?|MPICH Version:\s*)[^\s,]+/.exec(said)?.[0];
  if (version === undefined) {
    const first = said.split("\n", 1)[0].slice(0, 80);
    throw new LonghandError(
      "engine",
      `${name}: expected MPICH or Open MPI, got ${first}; name one by ${LIBRARY_VARIABLE}`,
    );
  }
  const conventions = version.startsWith("Open MPI") ? openMpi((symbol) => library.symbol(symbol)) : mpich;
  const types = { address: "void *", handle: conventions.type, int: "int" } as const;
  /** A function that returns whether it succeeded, as every one of MPI does. */
  const own = (called: string, ...given: (keyof typeof types)[]) => {
    const native = library.func(
      called,
      "int",
      given.map((type) => types[type]),
    );
    return (...args: unknown[]) => {
      const status = native(...args);
      if (status !== 0) throw new LonghandError("engine", `MPI: ${called} failed with code ${status}`);
    };
  };
  return calls(version.replace(/ Version:\s*/, " "), own, conventions);
}

type Type = "address" | "handle" | "int";

function calls(
  version: string,
  own: (name: string, ...types: Type[]) => (...args: unknown[]) => void,
  { world, float, byte, add, errorsReturn, inPlace, ignoreStatus }: Conventions,
): MpiLibrary {
  const init = own("MPI_Init_thread", "address", "address", "int", "address");
  const setHandler = own("MPI_Comm_set_errhandler", "handle", "handle");
  const rankOf = own("MPI_Comm_rank", "handle", "address");
  const sizeOf = own("MPI_Comm_size", "handle", "address");
  const barrier = own("MPI_Ibarrier", "handle", "address");
  const gather = own("MPI_Iallgather", "address", "int", "handle", "address", "int", "handle", "handle", "address");
  const test = own("MPI_Test", "address", "address", "address");
  const reduce = own("MPI_Allreduce", "address", "address", "int", "handle", "handle", "handle");
  const broadcast = own("MPI_Bcast", "address", "int", "handle", "int", "handle");
  const finalise = own("MPI_Finalize");
  const abort = own("MPI_Abort", "handle", "int");
  const flag = new Int32Array(1);
  return {
    version,
    initialise() {
      init(null, null, THREAD_FUNNELED, flag);
      setHandler(world, errorsReturn);
    },
    place() {
      const [rank, size] = [rankOf, sizeOf].map((ask) => {
        ask(world, flag);
        return flag[0];
      });
      return { rank, size };
    },
    beginBarrier() {
      const request = new BigUint64Array(1);
      barrier(world, request);
      return request;
    },
    beginGather(address, bytes) {
      if (bytes > MOST_BYTES)
        throw new LonghandError("engine", `MPI: expected at most ${MOST_BYTES} bytes, got ${bytes}`);
      const request = new BigUint64Array(1);
      gather(inPlace, 0, byte, address, bytes, byte, world, request);
      return request;
    },
    arrived(request) {
      test(request, flag, ignoreStatus);
      return flag[0] !== 0;
    },
    sum(address, length) {
      for (let from = 0; from < length; from += MOST_FLOATS) {
        reduce(inPlace, address + BigInt(4 * from), Math.min(MOST_FLOATS, length - from), float, add, world);
      }
    },
    broadcast({ address, bytes, root }) {
      for (let from = 0; from < bytes; from += MOST_BYTES) {
        broadcast(address + BigInt(from), Math.min(MOST_BYTES, bytes - from), byte, root, world);
      }
    },
    finalise: () => finalise(),
    abort: (status) => abort(world, status),
  };
}
