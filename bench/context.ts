/**
 * Linear cost: the tiny preset trained at several contexts with the same number of tokens a step, each in a process of
 * its own, in turn with context 1,024. The time per token and the peak memory should not depend on the context.
 */

import { ratios, type Spread, spread } from "../src/reproduce/statistics.ts";
import { interleave, withWorkers } from "../src/reproduce/worker-process.ts";
import { longhandWorker } from "./longhand.ts";
import { contextSetup, writeSetup } from "./setup.ts";

/** A context beside the reference, both measured in the same rounds. */
export interface ContextComparison {
  readonly reference: ContextSide;
  readonly compared: ContextSide;
  /** Time per token over that of the reference. */
  readonly timeRatio: Spread;
  readonly memoryRatio: number;
  /** Largest share of one core that the waiting process used during a step. */
  readonly idleShare: number | null;
}

export interface ContextSide {
  readonly context: number;
  readonly batch: number;
  readonly microsecondsPerToken: Spread;
  readonly peakBytes: number;
}

export interface ContextReport {
  readonly preset: "tiny";
  readonly tokensPerStep: number;
  readonly comparisons: readonly ContextComparison[];
}

const TOKENS_PER_STEP = 16_384;
const REFERENCE = 1024;
const CONTEXTS = [4096, 16_384];

export interface ContextOptions {
  readonly rounds: number;
  readonly warmup: number;
  readonly note: (text: string) => void;
}

export async function benchContext(options: ContextOptions): Promise<ContextReport> {
  const comparisons: ContextComparison[] = [];
  for (const context of CONTEXTS) comparisons.push(await compare(context, options));
  return { preset: "tiny", tokensPerStep: TOKENS_PER_STEP, comparisons };
}

/** Two processes at a time, so that memory suffices for them. */
async function compare(context: number, { rounds, warmup, note }: ContextOptions): Promise<ContextComparison> {
  const setups = [REFERENCE, context].map((length) => contextSetup(length, TOKENS_PER_STEP));
  const files = setups.map(writeSetup);
  try {
    const options = files.map(({ path }, i) => longhandWorker(`context ${setups[i].context}`, path));
    return await withWorkers(options, async (workers) => {
      for (const worker of workers) await worker.ready();
      note(`context ${context}: ${warmup} steps of warm-up`);
      await interleave(workers, warmup);
      const run = await interleave(workers, rounds, async (round) =>
        note(`context ${context}: round ${round + 1} of ${rounds}`),
      );
      const times = run.replies.map((replies) => replies.map(({ milliseconds }) => milliseconds));
      const sides: ContextSide[] = [];
      for (const [i, worker] of workers.entries()) {
        const { peakBytes } = await worker.ask<{ peakBytes: number }>("memory");
        const microsecondsPerToken = spread(times[i].map((ms) => (1000 * ms) / TOKENS_PER_STEP));
        sides.push({ context: setups[i].context, batch: setups[i].batch, microsecondsPerToken, peakBytes });
      }
      const [reference, compared] = sides;
      return {
        reference,
        compared,
        timeRatio: spread(ratios(times[1], times[0])),
        memoryRatio: compared.peakBytes / reference.peakBytes,
        idleShare: run.idleShare,
      };
    });
  } finally {
    for (const file of files) file.remove();
  }
}
