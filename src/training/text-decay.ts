/**
 * The weight decay of a run that is to take it from its text: computed when its tokens are counted, then saved. While the
 * rate is still to be found it is that of the rate from which the search begins, and computed again afterwards.
 */
import type { RunConfig } from "../config/run-config.ts";
import { decayForText } from "../train/weight-decay.ts";

/** The configuration with that weight decay; undefined where the decay is settled already. */
export function withTextDecay(config: RunConfig, textTokens: number): RunConfig | undefined {
  const { training } = config;
  if (!training.optimizer.decayFromText) return undefined;
  const { batch, accumulate, context, steps, schedule } = training;
  const tokensPerStep = batch * accumulate * context;
  const weightDecay = decayForText({ rate: schedule.peak, steps, tokensPerStep, textTokens });
  const optimizer = { ...training.optimizer, weightDecay, decayFromText: schedule.search };
  return { ...config, training: { ...training, optimizer } };
}
