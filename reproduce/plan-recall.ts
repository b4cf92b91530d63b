/**
 * Which models learn to recall over a distance: small ones, with the same steps, on the same windows. FLASH and
 * Transformer++ first, then the forms of FLASH that reach otherwise, then the other architectures; when all have been
 * trained from one seed, again from two others. As many steps as all of one seed fit with, if that many are enough; else
 * the fewest, and as many models as fit.
 */
import { forwardFlops } from "longhand/models";
import { FARTHEST_RECALL, type TrainJob } from "./jobs.ts";
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

/** With the fewest FLASH learns all that lies within its chunk. */
const STEPS = [2000, 1600, 1200, 900];
const SEEDS = 3;
/** FLASH and Transformer++. */
const LEAST = 2;
const BATCH = 4;
const NEAREST = 16;
/** A small model computes at a lower rate than the one that its time is estimated from. */
const SMALL_MODEL = 1.4;

export function planRecall(inputs: PlanInputs, seconds: number): SectionPlan {
  const { settings } = inputs;
  const variants = recallVariants(settings.models).map((variant) => sized(inputs, variant));
  const seeds = Array.from({ length: SEEDS }, (_, i) => settings.seed + i);
  const jobsWith = (steps: number) =>
    seeds.flatMap((seed) => variants.map((variant) => recallJob(inputs, variant, { seed, steps })));
  const candidates = settings.recallSteps === undefined ? STEPS : [settings.recallSteps];
  const fewest = candidates[candidates.length - 1];
  const steps = candidates.find((own) => total(jobsWith(own).slice(0, variants.length)) <= seconds) ?? fewest;
  const jobs: EstimatedJob[] = [];
  for (const each of jobsWith(steps)) {
    if (total(jobs) + each.seconds > seconds) break;
    jobs.push(each);
  }
  const essential = Math.min(LEAST, variants.length);
  const done = jobs.length < essential ? [] : jobs;
  const missing = variants.slice(done.length).map((variant) => `recall of ${variantLabel(variant)}`);
  const leftOut: LeftOut[] = (done.length === 0 ? ["recall"] : missing).map((what) => ({ what, why: OVER_BUDGET }));
  return { jobs: done, leftOut, least: total(jobsWith(fewest).slice(0, essential)) };
}

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
  { settings, costs }: PlanInputs,
  { model, ablation, scale }: SizedVariant,
  { seed, steps }: { readonly seed: number; readonly steps: number },
): EstimatedJob {
  const context = RECALL_CONTEXT;
  const training = steps * scale * costs.step(model, context, BATCH * context);
  const distances: number[] = [];
  let asking = 0;
  for (let distance = NEAREST; distance <= FARTHEST_RECALL * context; distance *= 2) {
    const { length, windows } = windowsAt(distance, context);
    const own = scale * costs.evaluation(model, length, windows * length);
    if (own > training && distance > context) break; // the report says so
    distances.push(distance);
    asking += own;
  }
  const name = `${model.replaceAll("+", "p")}${ablation === null ? "" : `-${ablation}`}-seed-${seed}`;
  const job: TrainJob = {
    ...{ kind: "train", id: `recall/${name}`, section: "recall", model, ablation, objective: "causal", context },
    ...{ batch: BATCH, steps, lr: middle(settings.lr), recompute: "none", recomputeReason: null, evalEvery: steps },
    recall: { seed, distances },
  };
  return { job, seconds: 1.5 * costs.start(model) + training + asking };
}
