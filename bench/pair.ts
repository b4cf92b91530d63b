/**
 * Two trainings measured against each other: a process each, side by side, so that memory suffices for both, in turn.
 */
import { interleave, withProcesses } from "../reproduce/process.ts";
import { longhandWorker } from "./longhand.ts";
import { type Setup, writeSetup } from "./setup.ts";

export interface PairOptions {
  readonly rounds: number;
  readonly warmup: number;
  readonly note: (text: string) => void;
}

/** One of the two, as it was measured. */
export interface PairSide {
  /** Milliseconds of the step of each round. */
  readonly times: number[];
  readonly peakBytes: number;
}

interface PairMeasurement {
  readonly sides: readonly [PairSide, PairSide];
  /** Largest share of one core that the waiting process used during a step. */
  readonly idleShare: number | null;
}

/** `what` names the comparison in notes; each setup comes with a name for its process. */
export async function measurePair(
  what: string,
  pair: readonly [readonly [string, Setup], readonly [string, Setup]],
  { rounds, warmup, note }: PairOptions,
): Promise<PairMeasurement> {
  const files = pair.map(([, setup]) => writeSetup(setup));
  try {
    const options = files.map(({ path }, i) => longhandWorker(pair[i][0], path));
    return await withProcesses(options, async (workers) => {
      for (const worker of workers) await worker.ready();
      note(`${what}: ${warmup} steps of warm-up`);
      await interleave(workers, warmup);
      const run = await interleave(workers, rounds, async (round) => note(`${what}: round ${round + 1} of ${rounds}`));
      const side = async (i: number): Promise<PairSide> => ({
        times: run.replies[i].map(({ milliseconds }) => milliseconds),
        peakBytes: await workers[i].peakBytes(),
      });
      return { sides: [await side(0), await side(1)], idleShare: run.idleShare };
    });
  } finally {
    for (const file of files) file.remove();
  }
}
