/**
 * Which ablations of FLASH are trained: all with the same steps at one context of four chunks or more, at FLASH's best
 * learning rate. FLASH as it is and its halves come first, then gate and softmax, MC-TFM++ (mixed chunk attention in a
 * Transformer), then the rest. As many of them as fit with 60 steps; if all do, as many steps as fit; if not even the
 * first six do, fewer steps.
 */
import { presets } from "longhand";
import { ablationsAt, kinOf } from "./architectures.ts";
import type { TrainJob } from "./jobs.ts";
import {
  type EstimatedJob,
  middle,
  OVER_BUDGET,
  type PlanInputs,
  type SectionPlan,
  total,
  trainingJob,
} from "./plan-section.ts";

const STEPS = [
  2000, 1500, 1000, 800, 600, 500, 400, 300, 250, 200, 180, 160, 140, 120, 100, 90, 80, 70, 60, 50, 40, 30, 20,
];
const GOOD_STEPS = 60;
/**
 * The first of the list must fit for steps to be enough: FLASH, local, global, no gate, softmax, softmax without gate.
 */
const ESSENTIAL = 6;
const LEAST = 3;
const CONTEXT = 1024;

export function planAblations(inputs: PlanInputs, seconds: number, quality: SectionPlan | undefined): SectionPlan {
  const { settings } = inputs;
  const context = Math.max(CONTEXT, 4 * presets[settings.preset].chunk);
  const names = namesAt(inputs, context);
  const jobsWith = (steps: number) => names.map((name) => job(inputs, name, steps, context, quality));
  const candidates = settings.ablationSteps === undefined ? STEPS : [settings.ablationSteps];
  const fewest = candidates[candidates.length - 1];
  const fits = (own: number, count: number) => total(jobsWith(own).slice(0, count)) <= seconds;
  const steps =
    candidates.find((own) => own > GOOD_STEPS && fits(own, names.length)) ??
    candidates.find((own) => own <= GOOD_STEPS && fits(own, ESSENTIAL)) ??
    fewest;
  const jobs: EstimatedJob[] = [];
  for (const each of jobsWith(steps)) if (total(jobs) + each.seconds <= seconds) jobs.push(each);
  const done = jobs.length < LEAST ? [] : jobs;
  const missing = names.filter((name) => !done.some(({ job: own }) => own.id.endsWith(`/${name}`)));
  const why = OVER_BUDGET;
  return {
    jobs: done,
    leftOut:
      done.length === 0 ? [{ what: "ablations", why }] : missing.map((name) => ({ what: `ablation ${name}`, why })),
    least: total(jobsWith(fewest).slice(0, LEAST)),
  };
}

/** FLASH, its ablations and MC-TFM++, by the names of their jobs. */
function namesAt({ settings: { preset, models } }: PlanInputs, context: number): string[] {
  const all = ["flash", ...ablationsAt(preset, context)];
  return models.includes("mc-tfm++") ? [...all.slice(0, ESSENTIAL), "mc-tfm++", ...all.slice(ESSENTIAL)] : all;
}

function job(
  inputs: PlanInputs,
  name: string,
  steps: number,
  context: number,
  quality: SectionPlan | undefined,
): EstimatedJob {
  const other = name === "mc-tfm++";
  const model = other ? name : "flash";
  return trainingJob(inputs, {
    ...{ section: "ablations", name, model, ablation: other || name === "flash" ? null : name, objective: "causal" },
    ...{ context, steps, lr: rateOf(quality, kinOf(model)) ?? middle(inputs.settings.lr) },
    ...{ recompute: "none", recomputeReason: null, evaluations: 4 },
  });
}

/** The best of the grid that the quality section runs at its shortest context. */
function rateOf(quality: SectionPlan | undefined, model: string): TrainJob["lr"] | undefined {
  const trained = (quality?.jobs ?? []).map(({ job: own }) => own).filter((own) => own.kind === "train");
  const grid = trained.filter((own) => own.model === model && typeof own.lr === "number");
  const shortest = grid.filter(({ context }) => context === Math.min(...grid.map((own) => own.context)));
  return shortest.length === 0 ? undefined : { bestOf: shortest.map(({ id }) => id) };
}
