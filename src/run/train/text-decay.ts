/**
 * The weight decay of a run that is to take it from its text: computed when its tokens are counted, then saved. While the
 * rate is still to be found it is that of the rate from which the search begins, and computed again afterwards.
 */
import { writeConfig } from "../../checkpoint/run-folder.node.ts";
import type { RunConfig } from "../../config/run-config.ts";
import { decayForText } from "../../train/weight-decay.ts";

export async function withTextDecay(run: string, config: RunConfig, textTokens: number): Promise<RunConfig> {
  const { training } = config;
  if (!training.optimizer.decayFromText) return config;
  const { batch, accumulate, context, steps, schedule } = training;
  const tokensPerStep = batch * accumulate * context;
  const weightDecay = decayForText({ rate: schedule.peak, steps, tokensPerStep, textTokens });
  const optimizer = { ...training.optimizer, weightDecay, decayFromText: schedule.search };
  const settled = { ...config, training: { ...training, optimizer } };
  await writeConfig(run, settled);
  return settled;
}
