/**
 * What it costs that FLASH's distant half keeps a mean with learned decays instead of the paper's sum: steps of preset
 * tiny with both, in turn, at growing contexts.
 */
import { ratios, type Spread, spread } from "../reproduce/statistics.ts";
import { measurePair, type PairOptions } from "./pair.ts";
import { contextSetup, PAPER, type Setup } from "./setup.ts";

export interface DistantComparison {
  readonly context: number;
  readonly tokensPerStep: number;
  readonly sumMilliseconds: Spread;
  /** Time of a step with the mean over that with the sum. */
  readonly ratio: Spread;
  readonly memoryRatio: number;
}

const TOKENS_PER_STEP = 4096;
const CONTEXTS = [512, 2048, 8192, 65536];

export async function benchDistant(options: PairOptions): Promise<readonly DistantComparison[]> {
  const comparisons: DistantComparison[] = [];
  for (const context of CONTEXTS) {
    const tokensPerStep = Math.max(TOKENS_PER_STEP, context);
    const mean = contextSetup(context, tokensPerStep);
    const sum: Setup = { ...mean, model: { ...mean.model, ...PAPER } };
    const pair = [[`sum ${context}`, sum] as const, [`mean ${context}`, mean] as const] as const;
    const { sides } = await measurePair(`distant half, context ${context}`, pair, options);
    comparisons.push({
      ...{ context, tokensPerStep },
      sumMilliseconds: spread(sides[0].times),
      ratio: spread(ratios(sides[1].times, sides[0].times)),
      memoryRatio: sides[1].peakBytes / sides[0].peakBytes,
    });
  }
  return comparisons;
}
