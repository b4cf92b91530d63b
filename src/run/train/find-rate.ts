/** The learning rate of a run that is to find its own: the search of train/rate-search.ts, told and saved. */
import { join } from "node:path";
import { writeFileAtomic } from "../../checkpoint/atomic.node.ts";
import { writeConfig } from "../../checkpoint/run-folder.node.ts";
import type { RunConfig } from "../../config/run-config.ts";
import { sliceTokens } from "../../data/token-sequence.ts";
import type { HeldOutPart } from "../../train/evaluate.ts";
import type { LoopInputs, LoopState } from "../../train/loop.ts";
import { bestRate, MOST_TRIALS, type RateTrial, searchRate, stopsSearch, trialSteps } from "../../train/rate-search.ts";

export type RateEvent =
  | {
      readonly type: "rate-search";
      /** Steps of each trial; their greatest number. */
      readonly steps: number;
      readonly trials: number;
    }
  | ({ readonly type: "rate-trial"; readonly steps: number } & RateTrial)
  | { readonly type: "rate"; readonly rate: number; readonly trials: readonly RateTrial[] };

interface FindOptions {
  readonly loop: Omit<LoopInputs, "state">;
  readonly begin: () => LoopState;
  readonly onEvent: (event: RateEvent) => void;
  /** Whether this process writes what was found. */
  readonly writes: boolean;
}

/** Tokens that trials are compared on, of each held-out text. */
const JUDGED = 16384;

/**
 * The configuration with the rate that was found, which is saved, and the trials as rate-search.json; undefined when it was
 * stopped before. Until then the configuration says that the rate is still to be found, so that resuming finds it.
 */
export async function findRate(
  run: string,
  config: RunConfig,
  { loop, begin, onEvent, writes }: FindOptions,
): Promise<RunConfig | undefined> {
  const { training } = config;
  const steps = trialSteps(training.steps);
  onEvent({ type: "rate-search", steps, trials: MOST_TRIALS });
  const heldOut = loop.heldOut.map(
    ({ name, sequence }): HeldOutPart => ({
      name,
      sequence: sliceTokens(sequence, 0, Math.min(JUDGED, sequence.tokens)),
    }),
  );
  const trials: RateTrial[] = [];
  const from = training.schedule.peak;
  for await (const trial of searchRate({ loop: { ...loop, heldOut }, begin, steps, from })) {
    trials.push(trial);
    onEvent({ type: "rate-trial", steps, ...trial });
  }
  if (await stopsSearch(loop)) return undefined;
  const rate = bestRate(trials);
  const schedule = { ...training.schedule, peak: rate, search: false };
  const found: RunConfig = { ...config, training: { ...training, schedule } };
  if (writes) {
    await writeFileAtomic(join(run, "rate-search.json"), [`${JSON.stringify({ steps, rate, trials }, null, 2)}\n`]);
    await writeConfig(run, found);
  }
  onEvent({ type: "rate", rate, trials });
  return found;
}
