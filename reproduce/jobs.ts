/**
 * What a comparison consists of: jobs, each with one result file. A job holds everything that its result depends on,
 * so that a result of other settings is recognised.
 */
import { objectiveNames } from "longhand";
import { recomputeNames } from "longhand/graph";
import { architectureNameSchema } from "longhand/models";
import { z } from "zod";

const count = () => z.number().int().positive();
const architecture = architectureNameSchema;

/** What is tried first, with the reason if it is not "none". A model that does not fit is tried again with "layers". */
const recomputation = { recompute: z.enum(recomputeNames), recomputeReason: z.string().nullable() };

/** One line of a speed measurement: a model in a process of its own. */
const sideSchema = z.strictObject({
  model: architecture,
  context: count(),
  batch: count(),
  ...recomputation,
});
export type SpeedSide = z.infer<typeof sideSchema>;

export const speedJobSchema = z.strictObject({
  kind: z.literal("speed"),
  id: z.string(),
  /** contexts: architectures beside each other; flat: FLASH alone at several contexts with the same tokens a step. */
  series: z.enum(["contexts", "flat"]),
  sides: z.array(sideSchema).min(1),
  /** Whether all processes run side by side; otherwise each round starts them one after the other. */
  together: z.boolean(),
  warmup: z.number().int().min(0),
  rounds: count(),
  /** Timed steps of a process each time it is started; 1 where they run side by side. */
  perStart: count(),
});
export type SpeedJob = z.infer<typeof speedJobSchema>;

/** A learning rate, or the best that earlier jobs (of any of these models) found. */
const rateSchema = z.union([z.number().positive(), z.strictObject({ bestOf: z.array(z.string()).min(1) })]);

export const trainJobSchema = z.strictObject({
  kind: z.literal("train"),
  id: z.string(),
  section: z.enum(["quality", "ablations", "recall"]),
  model: architecture,
  /** The name of the ablation; null for the model as it is. */
  ablation: z.string().nullable(),
  objective: z.enum(objectiveNames),
  context: count(),
  batch: count(),
  steps: count(),
  lr: rateSchema,
  ...recomputation,
  evalEvery: count(),
  /** Steps of warm-up, as `longhand train` has them by default; absent in older plans: a tenth of the steps. */
  warmup: count().optional(),
  /** Windows beyond the context in which, as in those of the context, the trained model reads a text; none in older plans. */
  windows: z.array(count()).optional(),
  /** Of parameters and batches, where a model is trained from several; absent: that of the settings. */
  seed: z.number().int().min(0).optional(),
  /** Of the section recall: learns windows made from this seed, and is asked at these distances. */
  recall: z.strictObject({ seed: z.number().int().min(0), distances: z.array(count()).min(1) }).optional(),
});
export type TrainJob = z.infer<typeof trainJobSchema>;

export const jobSchema = z.discriminatedUnion("kind", [speedJobSchema, trainJobSchema]);
export type Job = z.infer<typeof jobSchema>;

export function sectionOf(job: Job): "speed" | TrainJob["section"] {
  return job.kind === "speed" ? "speed" : job.section;
}

/** Examples a step: a context beyond the tokens of a step is one example. */
export function batchOf(tokens: number, context: number): number {
  return Math.max(1, Math.floor(tokens / context));
}

/** Windows of the trained model, beside those of its own context: so many times as long. */
export const FARTHER = [4, 16, 64] as const;

/**
 * How much of a held-out text is read in windows of every length, so that they differ in nothing else: as many tokens as
 * a point of a curve takes, and at least the longest window that the text has.
 */
export function farSpan(
  context: number,
  { evalTokens, textTokens }: { evalTokens: number; textTokens: number },
): number {
  const fitting = FARTHER.map((times) => times * context).filter((window) => window < textTokens);
  return Math.max(evalTokens, ...fitting);
}

/** Models of the section recall are asked at distances up to so many times the context of their training. */
export const FARTHEST_RECALL = 64;

/** The final evaluation of a model takes this many times the tokens of a point of its curve. */
export const FINAL_EVAL_FACTOR = 4;
