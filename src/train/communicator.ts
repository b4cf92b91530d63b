/**
 * Several processes that train one model together, as training sees them: numbered from 0, each with the same program and
 * the same parameters. They meet in collective operations, which every one of them calls in the same order. Here is what
 * these do; src/mpi does it with MPI.
 */

export interface Meeting {
  /** What the processes meet for, as errors name it: "the gradients of step 12". */
  readonly what: string;
  /** Milliseconds that a process waits for the others; default: the communicator's own limit. */
  readonly limitMs?: number;
}

/** Every operation throws "engine" naming the meeting when the others have not come within the limit. */
export interface Communicator {
  /** Number of this process, from 0. */
  readonly rank: number;
  readonly size: number;
  /** Adds arrays of one length over all ranks, in place: the sums have the same bits everywhere. The array stays untouched until then. */
  sum(array: Float32Array, meeting: Meeting): Promise<void>;
  /** What each rank gives, by rank; all give as many bytes. */
  gather(own: Uint8Array, meeting: Meeting): Promise<readonly Uint8Array[]>;
  /** Fills these bytes on every rank with those of one; default: of rank 0. */
  broadcast(bytes: Uint8Array, meeting: Meeting, root?: number): Promise<void>;
}

/** A process by itself. */
export const alone: Communicator = {
  rank: 0,
  size: 1,
  sum: async () => {},
  gather: async (own) => [own],
  broadcast: async () => {},
};

/** Numbers of each rank, by rank; all give as many. */
export async function gatherNumbers(
  communicator: Communicator,
  own: readonly number[],
  meeting: Meeting,
): Promise<readonly (readonly number[])[]> {
  const sent = new Uint8Array(Float64Array.from(own).buffer);
  const parts = await communicator.gather(sent, meeting);
  return parts.map((bytes) => [...new Float64Array(bytes.slice().buffer)]);
}

/** Sums, over the ranks in their order, of numbers of which each has as many. */
export async function sumNumbers(
  communicator: Communicator,
  own: Float64Array,
  meeting: Meeting,
): Promise<Float64Array> {
  const sent = new Uint8Array(own.buffer, own.byteOffset, own.byteLength);
  const parts = (await communicator.gather(sent, meeting)).map((bytes) => new Float64Array(bytes.slice().buffer));
  return own.map((_, i) => parts.reduce((sum, numbers) => sum + numbers[i], 0));
}

/** Whether any rank says so. */
export async function anyOf(communicator: Communicator, own: boolean, meeting: Meeting): Promise<boolean> {
  if (communicator.size === 1) return own;
  return (await communicator.gather(Uint8Array.of(Number(own)), meeting)).some(([said]) => said === 1);
}

/** A text of each rank, by rank, of whatever length. */
export async function gatherTexts(communicator: Communicator, own: string, meeting: Meeting): Promise<string[]> {
  const bytes = new TextEncoder().encode(own);
  const lengths = (await gatherNumbers(communicator, [bytes.length], meeting)).map(([length]) => length);
  const padded = new Uint8Array(Math.max(1, ...lengths));
  padded.set(bytes);
  const parts = await communicator.gather(padded, meeting);
  return parts.map((part, rank) => new TextDecoder().decode(part.subarray(0, lengths[rank])));
}
