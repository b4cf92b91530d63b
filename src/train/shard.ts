/**
 * The optimiser's state divided over processes (ZeRO, stage 1: Rajbhandari et al. 2019, arXiv 1910.02054): each keeps the
 * moments of some parameters, updates these, and sends them to the others. Whole parameters, since Muon needs a map as a
 * whole. An update is the same to the bit as that of a process which keeps everything.
 */
import type { HostTensor } from "../base/dtype.ts";
import { sizeOf } from "../base/shape.ts";
import type { Communicator } from "./communicator.ts";
import type { FloatArrays, OptimizerState } from "./optimizer.ts";

type Tensors = Readonly<Record<string, HostTensor>>;

/** Floats that are sent at a time, unless one parameter has more. */
const SENT = 2 ** 22;

/** What one process has of the state of several. */
export class Shard {
  readonly #communicator: Communicator;
  /** Rank by path of a parameter that is trained. */
  readonly #owners: ReadonlyMap<string, number>;
  /** What is sent or has come, kept from one time to the next. */
  #sent = new Float32Array(0);

  /** Of parameters that are trained: each, the largest first, falls to the process that has least. */
  constructor(trained: Tensors, communicator: Communicator) {
    const load = new Array<number>(communicator.size).fill(0);
    const owners = new Map<string, number>();
    const size = (path: string) => sizeOf(trained[path].shape);
    for (const path of Object.keys(trained).toSorted((a, b) => size(b) - size(a))) {
      const least = load.indexOf(Math.min(...load));
      owners.set(path, least);
      load[least] += size(path);
    }
    this.#communicator = communicator;
    this.#owners = owners;
  }

  owns(path: string): boolean {
    return this.#owners.get(path) === this.#communicator.rank;
  }

  /** The arrays of own parameters. */
  own<Value>(arrays: Readonly<Record<string, Value>>): Readonly<Record<string, Value>> {
    return Object.fromEntries(Object.entries(arrays).filter(([path]) => this.owns(path)));
  }

  /** The state with zeros for the moments of others, which take no memory as long as nobody writes them. */
  alone(state: OptimizerState): OptimizerState {
    const only = (arrays: FloatArrays): FloatArrays =>
      Object.fromEntries(
        Object.entries(arrays).map(([path, values]) => [
          path,
          this.owns(path) ? values : new Float32Array(values.length),
        ]),
      );
    return { ...state, m: only(state.m), v: only(state.v) };
  }

  /** Brings the parameters that other processes have updated, and takes them what this one has. */
  async exchange(parameters: Tensors, what: string): Promise<void> {
    const arrays = Object.fromEntries([...this.#owners.keys()].map((path) => [path, parameters[path].data]));
    await this.#send(arrays as FloatArrays, what, (path) => arrays[path] as Float32Array);
  }

  /** Uses the state of all processes, which is that on the first; on the others it is what `alone` has. */
  async withWhole<Result>(
    state: OptimizerState,
    what: string,
    use: (whole: OptimizerState) => Promise<Result>,
  ): Promise<Result> {
    const first = this.#communicator.rank === 0;
    // Given back at once: the runtime takes its time to find out that so much is used no longer.
    const buffers: ArrayBuffer[] = [];
    const borrowed = (length: number) => {
      buffers.push(new ArrayBuffer(4 * length, { maxByteLength: 4 * length }));
      return new Float32Array(buffers[buffers.length - 1], 0, length);
    };
    const gathered = async (arrays: FloatArrays, name: string): Promise<FloatArrays> => {
      const whole: Record<string, Float32Array> = { ...arrays };
      await this.#send(arrays, `${what} (${name})`, (path) => {
        if (first) whole[path] = borrowed(arrays[path].length);
        return first ? whole[path] : undefined;
      });
      return whole;
    };
    try {
      return await use({ ...state, m: await gathered(state.m, "m"), v: await gathered(state.v, "v") });
    } finally {
      for (const buffer of buffers) buffer.resize(0);
    }
  }

  /** Sends arrays from their owners, several at a time; `into` says where those of others go, if anywhere. */
  async #send(arrays: FloatArrays, what: string, into: (path: string) => Float32Array | undefined): Promise<void> {
    const { rank, size } = this.#communicator;
    for (let root = 0; root < size; root++) {
      const paths = Object.keys(arrays).filter((path) => this.#owners.get(path) === root);
      for (const some of packed(paths, arrays)) {
        const length = some.reduce((sum, path) => sum + arrays[path].length, 0);
        if (this.#sent.length < length) this.#sent = new Float32Array(length);
        const flat = this.#sent.subarray(0, length);
        if (rank === root) placed(some, arrays, (path, at) => flat.set(arrays[path], at));
        await this.#communicator.broadcast(new Uint8Array(flat.buffer, 0, flat.byteLength), { what }, root);
        if (rank === root) continue;
        placed(some, arrays, (path, at) => into(path)?.set(flat.subarray(at, at + arrays[path].length)));
      }
    }
  }
}

/** Paths in groups that are sent together. */
function packed(paths: readonly string[], arrays: FloatArrays): string[][] {
  const groups: string[][] = [];
  let length = Number.POSITIVE_INFINITY;
  for (const path of paths) {
    length += arrays[path].length;
    if (length > SENT) {
      groups.push([]);
      length = arrays[path].length;
    }
    groups[groups.length - 1].push(path);
  }
  return groups;
}

/** Calls with each path and where its array begins when all lie side by side. */
function placed(paths: readonly string[], arrays: FloatArrays, act: (path: string, at: number) => void): void {
  let at = 0;
  for (const path of paths) {
    act(path, at);
    at += arrays[path].length;
  }
}
