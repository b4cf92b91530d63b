/** What the plans of the sections have in common. */
import type { Costs } from "./costs.ts";
import { batchOf, FINAL_EVAL_FACTOR, type Job, type TrainJob } from "./jobs.ts";
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

export interface TrainingEstimate extends EstimatedJob {
  readonly job: TrainJob;
}

export const OVER_BUDGET = "the budget does not allow it";

export function total(jobs: readonly EstimatedJob[]): number {
  return jobs.reduce((sum, { seconds }) => sum + seconds, 0);
}

export function middle(rates: readonly number[]): number {
  return rates[Math.floor((rates.length - 1) / 2)];
}

interface Training extends Omit<TrainJob, "kind" | "id" | "batch" | "evalEvery" | "warmup"> {
  /** Within its section. */
  readonly name: string;
  /** Points of its curve. */
  readonly evaluations: number;
}

/** A job that trains with the tokens a step of the settings. */
export function trainingJob(
  { settings, costs }: PlanInputs,
  { name, evaluations, ...own }: Training,
): TrainingEstimate {
  const { section, model, context, steps, recompute } = own;
  const batch = batchOf(settings.qualityTokens, context);
  const evalEvery = Math.ceil(steps / evaluations);
  const evaluated = (Math.ceil(steps / evalEvery) + FINAL_EVAL_FACTOR) * settings.evalTokens;
  const seconds =
    costs.start(model) * 1.5 +
    steps * costs.step(model, context, batch * context, recompute) +
    costs.evaluation(model, context, evaluated);
  return { job: { kind: "train", id: `${section}/${name.replaceAll("+", "p")}`, ...own, batch, evalEvery }, seconds };
}

/** For a model that seems not to fit into memory: it is tried, and its result says how that went. */
export const TRIED_ANYWAY = {
  recompute: "layers",
  recomputeReason: "by the estimate it does not fit into memory at all",
} as const;
