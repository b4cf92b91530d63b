/**
 * Which models learn to recall over a distance: small ones, with the same steps, on the same windows. FLASH and
 * Transformer++ first, at the two lower rates of the grid; then the forms of FLASH that reach otherwise and the other
 * architectures, at the best rate of their kin; when all have been trained from one seed, again from two others. As many
 * steps as all of one seed fit with; else the fewest, and as many models as fit.
 */
import type { ArchitectureName } from "longhand";
import { forwardFlops } from "longhand/models";
import { FIRST_MODELS, kinOf } from "./architectures.ts";
import { FARTHEST_RECALL, type Job, type TrainJob } from "./jobs.ts";
import { modelConfig, RECALL_CONTEXT, recallModel } from "./models.ts";
import {
  type EstimatedJob,
  type LeftOut,
  middle,
  OVER_BUDGET,
  type PlanInputs,
  type SectionPlan,
  total,
} from "./plan-section.ts";
import { windowsAt } from "./recall.ts";
import { recallVariants, type Variant, variantLabel } from "./variants.ts";

/** Within its chunk FLASH learns names and pairs with the fewest, copying with 1,600. */
const STEPS = [2000, 1600, 1300, 1000];
const SEEDS = 3;
/** How many of the grid are tried: what is learnt here breaks off at high ones. */
const RATES = 2;
const BATCH = 4;
const NEAREST = 16;
/** A small model computes at a lower rate than the one that its time is estimated from. */
const SMALL_MODEL = 1.4;

export function planRecall(inputs: PlanInputs, seconds: number): SectionPlan {
  const { settings } = inputs;
  const variants = recallVariants(settings.models).map((variant) => sized(inputs, variant));
  const seeds = Array.from({ length: SEEDS }, (_, i) => settings.seed + i);
  const jobsWith = (steps: number) =>
    seeds.flatMap((seed, i) => jobsOf(inputs, variants, { seed, steps, grid: i === 0 }));
  const candidates = settings.recallSteps === undefined ? STEPS : [settings.recallSteps];
  const fewest = candidates[candidates.length - 1];
  const ofSeed = (jobs: readonly EstimatedJob[], seed: number) => jobs.filter(({ job }) => seedOf(job) === seed);
  const steps = candidates.find((own) => total(ofSeed(jobsWith(own), seeds[0])) <= seconds) ?? fewest;
  const jobs: EstimatedJob[] = [];
  for (const each of jobsWith(steps)) {
    if (total(jobs) + each.seconds > seconds) break;
    jobs.push(each);
  }
  const essential = jobsWith(fewest).filter(({ job }) => isFirst(job) && seedOf(job) === seeds[0]);
  const done = jobs.length < essential.length ? [] : jobs;
  const missing = variants
    .filter(({ model, ablation }) => !done.some(({ job }) => isOf(job, model, ablation)))
    .map((variant) => `recall of ${variantLabel(variant)}`);
  const leftOut: LeftOut[] = (done.length === 0 ? ["recall"] : missing).map((what) => ({ what, why: OVER_BUDGET }));
  return { jobs: done, leftOut, least: total(essential) };
}

const seedOf = (job: Job) => (job.kind === "train" ? job.recall?.seed : undefined);
const isOf = (job: Job, model: string, ablation: string | null) =>
  job.kind === "train" && job.model === model && job.ablation === ablation;
const isFirst = (job: Job) => FIRST_MODELS.some((model) => isOf(job, model, null));

interface Round {
  readonly seed: number;
  readonly steps: number;
  /** Whether the first models are trained at several rates, of which the others take the best of their kin. */
  readonly grid: boolean;
}

/** All models from one seed. */
function jobsOf(inputs: PlanInputs, variants: readonly SizedVariant[], { grid, ...round }: Round): EstimatedJob[] {
  const { seed, lr } = inputs.settings;
  const rates = [...lr].sort((a, b) => a - b).slice(0, RATES);
  const compared = (model: ArchitectureName) => variants.some((own) => own.model === model && own.ablation === null);
  return variants.flatMap((variant) => {
    const kin = kinOf(variant.model);
    const tried = FIRST_MODELS.includes(kin) && compared(kin);
    if (grid && tried && variant.model === kin && variant.ablation === null) {
      return rates.map((rate) => recallJob(inputs, variant, { ...round, lr: rate, name: gridName(kin, seed, rate) }));
    }
    const bestOf = rates.map((rate) => `recall/${gridName(kin, seed, rate)}`);
    const name = nameOf(variant, round.seed);
    return [recallJob(inputs, variant, { ...round, name, lr: tried ? { bestOf } : middle(lr) })];
  });
}

const nameOf = ({ model, ablation }: Variant, seed: number) =>
  `${model.replaceAll("+", "p")}${ablation === null ? "" : `-${ablation}`}-seed-${seed}`;
const gridName = (model: ArchitectureName, seed: number, rate: number) =>
  `${nameOf({ model, ablation: null }, seed)}-lr-${rate}`;

interface SizedVariant extends Variant {
  /** Its time over that of the measured model. */
  readonly scale: number;
}

function sized({ settings: { preset, vocab: vocabSize } }: PlanInputs, variant: Variant): SizedVariant {
  const context = RECALL_CONTEXT;
  const measured = modelConfig({ model: variant.model, preset, context, vocabSize, objective: "causal" });
  const flops = forwardFlops(recallModel({ ...variant, context }), context);
  return { ...variant, scale: (SMALL_MODEL * flops) / forwardFlops(measured, context) };
}

function recallJob(
  { costs }: PlanInputs,
  { model, ablation, scale }: SizedVariant,
  { seed, steps, lr, name }: Omit<Round, "grid"> & Pick<TrainJob, "lr"> & { readonly name: string },
): EstimatedJob {
  const context = RECALL_CONTEXT;
  const training = steps * scale * costs.step(model, context, BATCH * context);
  const distances: number[] = [];
  let asking = 0;
  for (let distance = NEAREST; distance <= FARTHEST_RECALL * context; distance *= 2) {
    const { length, windows } = windowsAt(distance, context);
    const own = scale * costs.evaluation(model, length, windows * length);
    if (asking + own > training && distance > context) break; // the report says so
    distances.push(distance);
    asking += own;
  }
  const job: TrainJob = {
    ...{ kind: "train", id: `recall/${name}`, section: "recall", model, ablation, objective: "causal", context },
    ...{ batch: BATCH, steps, lr, recompute: "none", recomputeReason: null, evalEvery: steps },
    recall: { seed, distances },
  };
  return { job, seconds: 1.5 * costs.start(model) + training + asking };
}
