/**
 * How a run that goes on ends: at another step, with a cool-down from where it is (train/schedule.ts), from the last
 * checkpoint before the cool-down that it had.
 */
import { LonghandError } from "../base/errors.ts";
import { parseRunConfig, type RunConfig } from "../config/run-config.ts";
import type { ResumeSettings } from "../config/train-settings.ts";
import { coolsFrom } from "../train/schedule.ts";

/** Where a run stands: the step that it goes on from. */
export interface Place {
  readonly run: string;
  /** Of the newest checkpoint. */
  readonly step: number;
}

/** The step after which a run has begun to cool down, and cannot be gone on with as if it had not; undefined before. */
export function cooledFrom({ training }: RunConfig, step: number): number | undefined {
  const from = coolsFrom(training.schedule, training.steps);
  return training.schedule.cooldown > 0 && step > from ? from : undefined;
}

/** The configuration of a run that goes on from `step`. Throws "usage" for an end before it. */
export function withEnding(before: RunConfig, { run, step }: Place, changes: ResumeSettings): RunConfig {
  const { recompute, cooldown } = changes;
  const { training } = before;
  const steps = changes.steps ?? (cooldown === undefined ? training.steps : step + cooldown);
  const planned = training.schedule.planned ?? training.steps;
  const schedule =
    cooldown === undefined
      ? training.schedule
      : { ...training.schedule, cooldown, ...(training.schedule.decay !== "constant" && { planned }) };
  if (step > steps) {
    throw new LonghandError("usage", `\`steps\` ${steps}: ${run} is already at step ${step}; give a larger number`);
  }
  if (cooldown !== undefined && steps - cooldown < step) {
    const least = `at least ${step + cooldown}`;
    throw new LonghandError(
      "usage",
      `\`cooldown\` ${cooldown}: ${run} is already at step ${step}; give \`steps\` of ${least}`,
    );
  }
  return parseRunConfig({
    ...before,
    training: { ...training, steps, schedule, ...(recompute !== undefined && { recompute }) },
  });
}
