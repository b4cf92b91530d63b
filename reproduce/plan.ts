/**
 * What is run within a budget: a pure function of settings, estimated costs and memory. The rules:
 *
 * 1. 85 % of the budget is planned, less the time of preparing: estimates on a shared machine are off by a tenth or so.
 * 2. The requested sections share it: speed 40, quality 42, ablations 18; what one leaves over goes to the next. Recall
 *    takes 10 of 110 beforehand, or nothing where that is too little for it.
 * 3. In each section comparisons are taken in a fixed order, FLASH against Transformer++ first, as long as they fit
 *    (plan-speed.ts, plan-quality.ts, plan-ablations.ts). What did not fit is listed with the reason.
 *
 * Throws "usage" when not even the first comparison of speed or quality fits, saying how many minutes that takes.
 */
import { LonghandError } from "longhand";
import { type Job, sectionOf } from "./jobs.ts";
import { trainingOf } from "./models.ts";
import { planAblations } from "./plan-ablations.ts";
import { planQuality } from "./plan-quality.ts";
import { planRecall } from "./plan-recall.ts";
import { type EstimatedJob, type LeftOut, type PlanInputs, type SectionPlan, total } from "./plan-section.ts";
import { planSpeed } from "./plan-speed.ts";
import { grouped } from "./statistics.ts";

export interface Plan {
  readonly jobs: readonly EstimatedJob[];
  readonly leftOut: readonly LeftOut[];
  readonly prepareSeconds: number;
  /** Of everything, by the estimate. */
  readonly seconds: number;
}

/** Share of the budget that is planned. */
export const PLANNED_SHARE = 0.85;
const SHARES = { speed: 0.4, quality: 0.42, ablations: 0.18, recall: 0.1 } as const;
/** Beside others, these may be left out. */
const OPTIONAL: readonly string[] = ["ablations", "recall"];
type Planned = keyof typeof SHARES;

export function makePlan(inputs: PlanInputs): Plan {
  const { settings, prepareSeconds } = inputs;
  const planned = PLANNED_SHARE * 60 * settings.budget - prepareSeconds;
  // Context use is read off the models that the quality section trains: alone, it trains the first two.
  const wanted = (Object.keys(SHARES) as Planned[]).filter(
    (name) => settings.only.includes(name) || (name === "quality" && settings.only.includes("context-use")),
  );
  const planners = { speed: planSpeed, quality: planQuality, ablations: planAblations, recall: planRecall };
  const sections: Partial<Record<Planned, SectionPlan>> = {};
  let left = planned;
  let shares = wanted.reduce((sum, name) => sum + SHARES[name], 0);
  let least = 0;
  const recallFirst = [...wanted].sort((a, b) => Number(b === "recall") - Number(a === "recall"));
  for (const name of recallFirst) {
    const section = planners[name](inputs, Math.max(0, (left * SHARES[name]) / shares), sections.quality);
    sections[name] = section;
    left -= total(section.jobs);
    shares -= SHARES[name];
    if (OPTIONAL.includes(name) && wanted.length > 1) continue;
    // The budget with which the first comparison of every section fits into the share of that section.
    least = Math.max(least, section.least / (SHARES[name] / wanted.reduce((sum, each) => sum + SHARES[each], 0)));
  }
  const empty = wanted.filter((name) => sections[name]?.jobs.length === 0);
  if (empty.some((name) => !OPTIONAL.includes(name)) || empty.length === wanted.length) {
    const minutes = (least + prepareSeconds) / PLANNED_SHARE / 60;
    throw new LonghandError(
      "usage",
      `budget ${settings.budget}: too few minutes for ${wanted.join(", ")} with preset ${settings.preset}, which take about ${Math.ceil(10 * minutes) / 10} at least; give more, or fewer sections, a smaller preset or fewer tokens`,
    );
  }
  const jobs = wanted.flatMap((name) => (sections[name]?.jobs ?? []).map(withWarmup));
  return {
    jobs,
    leftOut: wanted.flatMap((name) => sections[name]?.leftOut ?? []),
    prepareSeconds,
    seconds: prepareSeconds + total(jobs),
  };
}

function withWarmup({ job, seconds }: EstimatedJob): EstimatedJob {
  if (job.kind === "speed") return { job, seconds };
  return { job: { ...job, warmup: trainingOf({ steps: job.steps }).schedule.warmup }, seconds };
}

/** Jobs and seconds of each group of a plan: what is printed first. */
export function groupsOf(plan: Plan): { name: string; jobs: number; seconds: number }[] {
  const groups = grouped(plan.jobs, ({ job }) => groupName(job));
  return groups.map((own) => ({ name: groupName(own[0].job), jobs: own.length, seconds: total(own) }));
}

function groupName(job: Job): string {
  if (job.kind === "speed") {
    return job.series === "flat"
      ? `speed: flash at ${job.sides[0].context * job.sides[0].batch} tokens a step`
      : `speed: context ${job.sides[0].context}`;
  }
  const section = sectionOf(job);
  return section !== "quality"
    ? `${section}: context ${job.context}`
    : `${section}: ${job.objective}, context ${job.context}`;
}
