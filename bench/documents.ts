/**
 * What keeping documents apart costs: steps of FLASH, preset tiny, with `--documents separate` in turn with `joined`, the
 * same tokens in both, documents of 500 tokens or so.
 */
import { ratios, type Spread, spread } from "../src/reproduce/statistics.ts";
import { interleave, withWorkers } from "../src/reproduce/worker-process.ts";
import { longhandWorker } from "./longhand.ts";
import { contextSetup, type Setup, writeSetup } from "./setup.ts";

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

export interface DocumentsOptions {
  readonly rounds: number;
  readonly warmup: number;
  readonly note: (text: string) => void;
}

const TOKENS_PER_STEP = 8192;
const CONTEXTS = [512, 1024, 8192];
/** A token that the benchmark's text has about once in 500. */
const END_OF_TEXT = 55;

export async function benchDocuments(options: DocumentsOptions): Promise<DocumentsReport> {
  const comparisons: DocumentsComparison[] = [];
  for (const causal of [true, false]) {
    for (const context of CONTEXTS) comparisons.push(await compare(context, causal, options));
  }
  return { tokensPerStep: TOKENS_PER_STEP, comparisons };
}

async function compare(context: number, causal: boolean, options: DocumentsOptions): Promise<DocumentsComparison> {
  const { rounds, warmup, note } = options;
  const setup = contextSetup(context, TOKENS_PER_STEP);
  const joined: Setup = { ...setup, model: { ...setup.model, causal } };
  const files = [joined, { ...joined, endOfText: END_OF_TEXT }].map(writeSetup);
  const name = `${causal ? "causal" : "both ways"} ${context}`;
  try {
    const workers = files.map(({ path }, i) => longhandWorker(`${i === 0 ? "joined" : "separate"} ${name}`, path));
    return await withWorkers(workers, async (workers) => {
      for (const worker of workers) await worker.ready();
      note(`documents ${name}: ${warmup} steps of warm-up`);
      await interleave(workers, warmup);
      const run = await interleave(workers, rounds, async (round) =>
        note(`documents ${name}: round ${round + 1} of ${rounds}`),
      );
      const [together, apart] = run.replies.map((replies) => replies.map(({ milliseconds }) => milliseconds));
      const peaks: number[] = [];
      for (const worker of workers) peaks.push((await worker.ask<{ peakBytes: number }>("memory")).peakBytes);
      return {
        context,
        causal,
        joinedMilliseconds: spread(together),
        ratio: spread(ratios(apart, together)),
        memoryRatio: peaks[1] / peaks[0],
      };
    });
  } finally {
    for (const file of files) file.remove();
  }
}
