/**
 * Which models are trained, and for how many steps. Taken in this order as long as they fit:
 *
 * 1. FLASH and Transformer++, causal, at the shortest context, at every learning rate of the grid;
 * 2. both at the longest context, FLASH there also in half and in a third of the steps, to see how soon it can be as
 *    good; both again from each of the other seeds, where there are several, at the best rate;
 * 3. FLASH-Quad and Transformer at the shortest; 4. both first ones masked at the shortest; 5. the other architectures
 *    at the shortest; 6. the whole grid at the longest context; 7. the others there; 8. FLASH and Transformer++ masked
 *    at the longest, then at the contexts between; 9. the other architectures at the shortest from the other seeds.
 *
 * Where the grid is not run, a model takes the best rate of those at the shortest context: its own, else that of its
 * kin. The steps are the most with which 1 to 4 fit. If those are fewer than 60, the longest context is halved down to
 * 1,024 until they are not; if they are still, the masked models wait, then those of 3. Before a plan does without
 * masked models, the grid is made smaller: its two lower rates, then the middle one alone, at last for as few as 30
 * steps.
 */
import type { ArchitectureName } from "longhand";
import { kinOf, ranked } from "./architectures.ts";
import { batchOf, type TrainJob } from "./jobs.ts";
import { readingFarther } from "./plan-farther.ts";
import { chooseRecompute } from "./plan-recompute.ts";
import {
  type EstimatedJob,
  type LeftOut,
  middle,
  OVER_BUDGET,
  type PlanInputs,
  type SectionPlan,
  TRIED_ANYWAY,
  total,
  trainingJob,
} from "./plan-section.ts";

const STEPS = [
  3000, 2000, 1500, 1000, 800, 600, 500, 400, 300, 250, 200, 180, 160, 140, 120, 100, 90, 80, 70, 60, 50, 40, 30, 20,
];
const GOOD_STEPS = 60;
const FEW_STEPS = 30;
/** Stages that decide the number of steps. */
const ESSENTIAL = 4;
/** Points of a curve. */
const EVALUATIONS = 8;
const DEFAULT_CONTEXTS = [512, 8192];
const SHORTEST_LONG = 1024;
const FURTHER_FIRST = 2;
/** Shares of the steps that FLASH is trained for beside all of them. */
const SHORTER = [1 / 2, 1 / 3];

type Objective = TrainJob["objective"];

/** One training: what it is, before its learning rate. */
interface Unit {
  readonly model: ArchitectureName;
  readonly objective: Objective;
  readonly context: number;
  readonly grid: boolean;
  /** Share of the steps, with a schedule of its own that ends there. Default: all. */
  readonly share?: number;
  /** Another seed than that of the settings, at the best rate of the model itself. */
  readonly seed?: number;
}

interface Stage {
  readonly what: string;
  readonly units: readonly Unit[];
}

export function planQuality(inputs: PlanInputs, seconds: number): SectionPlan {
  const { settings } = inputs;
  const planFor = (lr: readonly number[], least: number) => {
    const plan = planWithRates({ ...inputs, settings: { ...settings, lr: [...lr] } }, seconds, least);
    const missing = settings.lr.filter((rate) => !lr.includes(rate));
    const what = `quality: learning ${missing.length === 1 ? "rate" : "rates"} ${missing.join(", ")} of the grid`;
    const smaller = missing.length === 0 ? [] : [{ what, why: OVER_BUDGET }];
    return { ...plan, leftOut: [...smaller, ...plan.leftOut] };
  };
  const good = grids(settings.lr).map((lr) => planFor(lr, GOOD_STEPS));
  return (
    good.find(withBothObjectives) ??
    [planFor([middle(settings.lr)], FEW_STEPS)].find(withBothObjectives) ??
    good.find(({ jobs }) => jobs.length > 0) ??
    good[0]
  );
}

function withBothObjectives({ jobs }: SectionPlan): boolean {
  return jobs.some(({ job }) => job.kind === "train" && job.objective === "masked");
}

/** All rates, and for a budget that is too small for them the two lower ones, or the middle one. */
function grids(rates: readonly number[]): number[][] {
  const ascending = [...rates].sort((a, b) => a - b);
  const fewer = [...(rates.length > 2 ? [ascending.slice(0, 2)] : []), ...(rates.length > 1 ? [[middle(rates)]] : [])];
  return [[...rates], ...fewer];
}

function planWithRates(inputs: PlanInputs, seconds: number, goodSteps: number): SectionPlan {
  const { settings } = inputs;
  const leftOut: LeftOut[] = [];
  let contexts = contextsOf(inputs);
  const steps = settings.steps === undefined ? STEPS : [settings.steps];
  const fits = (stages: readonly Stage[], own: number) => total(jobsOf(inputs, stages, own)) <= seconds;
  const most = (count: number, least: number) => {
    const stages = stagesOf(inputs, contexts).slice(0, count);
    return steps.find((own) => (own >= least || settings.steps !== undefined) && fits(stages, own));
  };
  const essential = ESSENTIAL + otherSeeds(inputs).length;
  let chosen = most(essential, goodSteps);
  while (chosen === undefined) {
    const shorter = shorten(inputs, contexts);
    if (shorter === undefined) break;
    leftOut.push({ what: `quality at context ${contexts[contexts.length - 1]}`, why: OVER_BUDGET });
    contexts = shorter;
    chosen = most(essential, goodSteps);
  }
  const own = chosen ?? most(3, FEW_STEPS) ?? most(2, 0) ?? most(1, 0) ?? steps[steps.length - 1];
  const stages: Stage[] = [];
  for (const stage of stagesOf(inputs, contexts)) {
    if (fits([...stages, stage], own)) stages.push(stage);
    else leftOut.push({ what: `quality: ${stage.what}`, why: OVER_BUDGET });
  }
  const least = total(jobsOf(inputs, stagesOf(inputs, contexts.slice(0, 1)).slice(0, 1), steps[steps.length - 1]));
  return { jobs: jobsOf(inputs, stages, own), leftOut, least };
}

function contextsOf({ settings, textTokens }: PlanInputs): number[] {
  if (settings.qualityContexts !== undefined) return [...settings.qualityContexts];
  const longest = DEFAULT_CONTEXTS[DEFAULT_CONTEXTS.length - 1];
  let cut = longest;
  while (cut > DEFAULT_CONTEXTS[0] && cut > textTokens / 8) cut /= 2;
  return [...new Set([DEFAULT_CONTEXTS[0], cut])];
}

function shorten({ settings }: PlanInputs, contexts: readonly number[]): number[] | undefined {
  if (settings.qualityContexts !== undefined || contexts.length < 2) return undefined;
  const half = contexts[contexts.length - 1] / 2;
  return half >= SHORTEST_LONG ? [...contexts.slice(0, -1), half] : undefined;
}

/** Beside that of the settings. */
const otherSeeds = ({ settings: { seed, seeds } }: PlanInputs) =>
  Array.from({ length: seeds - 1 }, (_, i) => seed + 1 + i);

function stagesOf(inputs: PlanInputs, contexts: readonly number[]): Stage[] {
  const { models, only } = inputs.settings;
  const { first, others } = ranked(models);
  const short = contexts[0];
  const long = contexts.length > 1 ? contexts[contexts.length - 1] : undefined;
  const stage = (names: readonly ArchitectureName[], objective: Objective, context: number, grid = false): Stage => ({
    what: `${names.join(", ")}, ${objective}, context ${context}${grid ? ", whole grid" : ""}`,
    units: names.map((model) => ({ model, objective, context, grid })),
  });
  const longest = (make: (context: number) => Stage[]) => (long === undefined ? [] : make(long));
  const start = [stage(first, "causal", short, true), ...longest((T) => [withShorter(stage(first, "causal", T))])];
  if (!only.includes("quality")) return start; // context use alone
  const again = (seed: number, stages: readonly Stage[]): Stage => ({
    what: `${stages.map(({ what }) => what).join("; ")}; from seed ${seed}`,
    units: stages.flatMap(({ units }) => units.map((unit) => ({ ...unit, grid: false, seed }))),
  });
  const seeds = otherSeeds(inputs);
  const stages = [
    ...start,
    ...seeds.map((seed) => again(seed, start)),
    stage(others.slice(0, FURTHER_FIRST), "causal", short),
    stage(first, "masked", short),
    stage(others.slice(FURTHER_FIRST), "causal", short),
    ...longest((T) => [stage(first, "causal", T, true), stage(others, "causal", T), stage(first, "masked", T)]),
    ...contexts.slice(1, -1).map((T) => stage(first, "causal", T)),
    ...(others.length === 0 ? [] : seeds.map((seed) => again(seed, [stage(others, "causal", short)]))),
  ];
  return stages.filter(({ units }) => units.length > 0);
}

/**
 * FLASH with shorter schedules beside the whole one: the paper's speed-up asks when a model is as good as
 * Transformer++.
 */
function withShorter({ what, units }: Stage): Stage {
  const shorter = units
    .filter(({ model }) => model === "flash")
    .flatMap((unit) => SHORTER.map((share) => ({ ...unit, share })));
  return { what, units: [...units, ...shorter] };
}

function jobsOf(inputs: PlanInputs, stages: readonly Stage[], steps: number): EstimatedJob[] {
  const { settings } = inputs;
  const units = new Map<string, Unit>();
  for (const unit of stages.flatMap((stage) => stage.units)) units.set(keyOf(unit), unit); // a grid replaces a single run
  const grids = new Map<string, string[]>();
  const jobs: EstimatedJob[] = [];
  const shortest = Math.min(...[...units.values()].map(({ context }) => context));
  for (const unit of units.values()) {
    const { model, objective, context, share = 1, seed } = unit;
    const tokens = batchOf(settings.qualityTokens, context) * context;
    const rates = unit.grid ? settings.lr : [undefined];
    for (const rate of rates) {
      const made = trainingJob(inputs, {
        ...{ section: "quality", model, ablation: null, objective, context, steps: Math.round(share * steps) },
        name: `${keyOf(unit)}${rate === undefined ? "" : `-lr-${rate}`}`,
        lr: rate ?? bestRate(grids, unit, settings.lr),
        ...(chooseRecompute(inputs, model, context, tokens) ?? TRIED_ANYWAY),
        ...(seed !== undefined && { seed }),
        evaluations: EVALUATIONS,
      });
      const farther = objective === "causal" && context === shortest && share === 1 && seed === undefined;
      jobs.push(farther ? readingFarther(inputs, made) : made);
      const { id } = made.job;
      if (unit.grid) grids.set(keyOf(unit), [...(grids.get(keyOf(unit)) ?? []), id]);
    }
  }
  return jobs;
}

const keyOf = ({ model, objective, context, share = 1, seed }: Omit<Unit, "grid">) =>
  [
    `${objective}-${context}-${model.replaceAll("+", "p")}`,
    ...(share === 1 ? [] : [`share-${share.toFixed(2)}`]),
    ...(seed === undefined ? [] : [`seed-${seed}`]),
  ].join("-");

/** The best of the model's own grid, of another seed that of the same context, else of its kin's, else the middle rate. */
function bestRate(
  grids: ReadonlyMap<string, readonly string[]>,
  { model, objective, context, seed }: Unit,
  rates: readonly number[],
): TrainJob["lr"] {
  const same = seed === undefined ? undefined : grids.get(keyOf({ model, objective, context }));
  if (same) return { bestOf: [...same] };
  for (const name of [model, kinOf(model)]) {
    for (const [key, ids] of grids) {
      if (key.startsWith("causal-") && key.endsWith(`-${name.replaceAll("+", "p")}`)) return { bestOf: [...ids] };
    }
  }
  return middle(rates);
}
