/** Processes that train together, played in one: each is a communicator, and they meet through promises. */
import type { Communicator } from "../../src/train/communicator.ts";

interface Gathering {
  readonly kind: string;
  readonly given: unknown[];
  readonly all: Promise<readonly unknown[]>;
  resolve(all: readonly unknown[]): void;
}

/** So many ranks. A meeting throws where they meet for different things. */
export function ranksHere(size: number): Communicator[] {
  const gatherings: Gathering[] = [];
  return Array.from({ length: size }, (_, rank) => {
    let met = 0;
    const meet = async <Value>(own: Value, kind: string): Promise<readonly Value[]> => {
      const at = met++;
      gatherings[at] ??= begin(kind);
      const { kind: theirs, given, all, resolve } = gatherings[at];
      if (theirs !== kind) throw new Error(`rank ${rank} came for ${kind}, the others for ${theirs}`);
      given.push([rank, own]);
      if (given.length === size) {
        const ordered = (given as [number, Value][]).sort(([a], [b]) => a - b).map(([, value]) => value);
        resolve(ordered);
      }
      return (await all) as readonly Value[];
    };
    return {
      rank,
      size,
      async sum(array, { what }) {
        const all = await meet(array.slice(), `the sum of ${array.length}: ${what}`);
        for (let i = 0; i < array.length; i++) array[i] = all.reduce((sum, { [i]: x }) => Math.fround(sum + x), 0);
      },
      gather: (own, { what }) => meet(own.slice(), `gathering ${own.length}: ${what}`),
      async broadcast(bytes, { what }, root = 0) {
        bytes.set((await meet(bytes.slice(), `broadcasting ${bytes.length} from ${root}: ${what}`))[root]);
      },
    };
  });
}

function begin(kind: string): Gathering {
  let resolve: Gathering["resolve"] = () => {};
  const all = new Promise<readonly unknown[]>((done) => {
    resolve = done;
  });
  return { kind, given: [], all, resolve };
}
