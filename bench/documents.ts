/**
 * What keeping documents apart costs: steps of FLASH, preset tiny, with `--documents separate` in turn with `joined`,
 * the same tokens in both, documents of 500 tokens or so.
 */
import { ratios, type Spread, spread } from "../reproduce/statistics.ts";
import { measurePair, type PairOptions } from "./pair.ts";
import { contextSetup, type Setup } from "./setup.ts";

export interface DocumentsComparison {
  readonly context: number;
  readonly causal: boolean;
  readonly joinedMilliseconds: Spread;
  /** Time of a step with documents kept apart over that with them joined. */
  readonly ratio: Spread;
  readonly memoryRatio: number;
}

export interface DocumentsReport {
  readonly tokensPerStep: number;
  readonly comparisons: readonly DocumentsComparison[];
}

const TOKENS_PER_STEP = 8192;
const CONTEXTS = [512, 1024, 8192];
/** A token that the benchmark's text has about once in 500. */
const END_OF_TEXT = 55;

export async function benchDocuments(options: PairOptions): Promise<DocumentsReport> {
  const comparisons: DocumentsComparison[] = [];
  for (const causal of [true, false]) {
    for (const context of CONTEXTS) comparisons.push(await compare(context, causal, options));
  }
  return { tokensPerStep: TOKENS_PER_STEP, comparisons };
}

async function compare(context: number, causal: boolean, options: PairOptions): Promise<DocumentsComparison> {
  const setup = contextSetup(context, TOKENS_PER_STEP);
  const joined: Setup = { ...setup, model: { ...setup.model, causal } };
  const separate: Setup = { ...joined, endOfText: END_OF_TEXT };
  const name = `${causal ? "causal" : "both ways"} ${context}`;
  const pair = [[`joined ${name}`, joined] as const, [`separate ${name}`, separate] as const] as const;
  const { sides } = await measurePair(`documents ${name}`, pair, options);
  const [together, apart] = sides;
  return {
    context,
    causal,
    joinedMilliseconds: spread(together.times),
    ratio: spread(ratios(apart.times, together.times)),
    memoryRatio: apart.peakBytes / together.peakBytes,
  };
}
