/**
 * Linear cost: the tiny preset trained at several contexts with the same number of tokens a step, each in a process of
 * its own, in turn with context 1,024. The time per token and the peak memory should not depend on the context.
 */
import { ratios, type Spread, spread } from "../reproduce/statistics.ts";
import { measurePair, type PairOptions, type PairSide } from "./pair.ts";
import { contextSetup, type Setup } from "./setup.ts";

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

export async function benchContext(options: PairOptions): Promise<ContextReport> {
  const comparisons: ContextComparison[] = [];
  for (const context of CONTEXTS) comparisons.push(await compare(context, options));
  return { preset: "tiny", tokensPerStep: TOKENS_PER_STEP, comparisons };
}

async function compare(context: number, options: PairOptions): Promise<ContextComparison> {
  const [first, second] = [REFERENCE, context].map((length) => contextSetup(length, TOKENS_PER_STEP));
  const pair = [[`context ${REFERENCE}`, first] as const, [`context ${context}`, second] as const] as const;
  const { sides, idleShare } = await measurePair(`context ${context}`, pair, options);
  const side = ({ context, batch }: Setup, { times, peakBytes }: PairSide): ContextSide => {
    const microsecondsPerToken = spread(times.map((ms) => (1000 * ms) / TOKENS_PER_STEP));
    return { context, batch, microsecondsPerToken, peakBytes };
  };
  return {
    reference: side(first, sides[0]),
    compared: side(second, sides[1]),
    timeRatio: spread(ratios(sides[1].times, sides[0].times)),
    memoryRatio: sides[1].peakBytes / sides[0].peakBytes,
    idleShare,
  };
}
