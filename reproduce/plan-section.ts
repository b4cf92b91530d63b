/** What the plans of the sections have in common. */
import type { Costs } from "./costs.ts";
import { FINAL_EVAL_FACTOR, type Job, type TrainJob } from "./jobs.ts";
import type { ReproduceSettings } from "./settings.ts";

export interface PlanInputs {
  readonly settings: ReproduceSettings;
  readonly costs: Costs;
  /** Bytes that all processes may use together. */
  readonly memory: number;
  /** Estimated tokens of the text: contexts that it cannot fill are left out unless they were requested. */
  readonly textTokens: number;
  /** Seconds that are spent before the first job: calibration, tokenizer. */
  readonly prepareSeconds: number;
}

export interface LeftOut {
  readonly what: string;
  readonly why: string;
}

export interface SectionPlan {
  readonly jobs: readonly EstimatedJob[];
  readonly leftOut: readonly LeftOut[];
  /** Seconds of the first comparison of the section, which must fit. */
  readonly least: number;
}

export interface EstimatedJob {
  readonly job: Job;
  readonly seconds: number;
}

export const OVER_BUDGET = "the budget does not allow it";

export function total(jobs: readonly EstimatedJob[]): number {
  return jobs.reduce((sum, { seconds }) => sum + seconds, 0);
}

export function middle(rates: readonly number[]): number {
  return rates[Math.floor((rates.length - 1) / 2)];
}

/** Seconds of one training with its evaluations. */
export function trainSeconds({ settings, costs }: Pick<PlanInputs, "settings" | "costs">, job: TrainJob): number {
  const { model, context, batch, steps, evalEvery, recompute } = job;
  const evaluations = Math.ceil(steps / evalEvery) + FINAL_EVAL_FACTOR;
  return (
    costs.start(model) * 1.5 +
    steps * costs.step(model, context, batch * context, recompute) +
    evaluations * costs.evaluation(model, context, settings.evalTokens)
  );
}
