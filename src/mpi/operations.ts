/** What the thread that owns MPI (worker.node.ts) is asked to do by the one that trains (thread.node.ts), and its answers. */

interface Timed {
  /** What the ranks meet for. */
  readonly what: string;
  readonly limitMs: number;
}

/** Addresses are those of memory of the process. */
export type Operation =
  | ({ readonly kind: "open"; readonly libraries: readonly string[] } & Timed)
  | ({ readonly kind: "sum"; readonly address: bigint; readonly length: number } & Timed)
  | ({ readonly kind: "gather"; readonly address: bigint; readonly bytes: number } & Timed)
  | ({ readonly kind: "broadcast"; readonly address: bigint; readonly bytes: number; readonly root: number } & Timed)
  | ({ readonly kind: "close" } & Timed);

export interface Opened {
  /** Of the library, as it calls itself. */
  readonly version: string;
  readonly rank: number;
  readonly size: number;
}

export interface Request {
  readonly id: number;
  readonly operation: Operation;
}

export interface Answer {
  readonly id: number;
  /** Why it was not done. */
  readonly problem?: string;
  readonly opened?: Opened | undefined;
}

/**
 * Int32Array [2] that both threads see: [0] is 1 when all ranks are to be ended at once, [1] the status with which.
 */
export type Ending = Int32Array<SharedArrayBuffer>;

/** Why a meeting did not come about. */
export function tooLate({ what, limitMs }: Timed): string {
  const seconds = Number((limitMs / 1000).toPrecision(3));
  return `MPI: not all processes came to ${what} within ${seconds} s: one of them hangs or has ended; go on from the last checkpoint`;
}
