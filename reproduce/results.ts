/**
 * What was measured, raw: one JSON file a job, written whole or not at all, with the machine and versions it was
 * measured on and a checksum. Everything in the report is computed from these files.
 */
import { createHash } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { LonghandError } from "longhand";
import { recomputeNames } from "longhand/graph";
import { modelConfigSchema } from "longhand/models";
import { describeIssues, messageOf, writeFileAtomic } from "longhand/tools";
import { z } from "zod";
import { type Job, speedJobSchema, trainJobSchema } from "./jobs.ts";
import { identitySchema } from "./machine.ts";
import { recallTaskNames } from "./recall-windows.ts";

const bytes = z.number().nullable();

const speedSideResultSchema = z.strictObject({
  model: z.string(),
  config: modelConfigSchema,
  context: z.number(),
  batch: z.number(),
  tokens: z.number(),
  recompute: z.enum(recomputeNames),
  parameters: z.number().nullable(),
  /** Of forward and backward, matrix products only. */
  flopsPerToken: z.number(),
  warmupMs: z.array(z.number()),
  /** One time a round, whole steps. */
  ms: z.array(z.number()),
  graphMs: z.array(z.number()),
  optimizerMs: z.array(z.number()),
  peakBytes: bytes,
  /** Why there are no times. */
  failure: z.string().nullable(),
  /** Why it was measured with recomputation. */
  recomputeReason: z.string().nullable(),
});
export type SpeedSideResult = z.infer<typeof speedSideResultSchema>;

const positionSchema = z.strictObject({
  from: z.number(),
  to: z.number(),
  nats: z.number(),
  tokens: z.number(),
});
export type PositionSum = z.infer<typeof positionSchema>;

const measured = {
  format: z.literal("longhand-reproduce-result"),
  version: z.literal(1),
  identity: identitySchema,
  /** ISO 8601. */
  finished: z.string(),
  /** Of the whole job, starting and evaluating included. */
  seconds: z.number(),
};

const speedResultSchema = z.strictObject({
  ...measured,
  job: speedJobSchema,
  sides: z.array(speedSideResultSchema),
  /** Largest share of one core that the waiting processes used during a step; null where it is not known. */
  idleShare: z.number().nullable(),
});
export type SpeedResult = z.infer<typeof speedResultSchema>;

export const evaluationPointSchema = z.strictObject({
  step: z.number(),
  /** Of training alone, without evaluation. */
  seconds: z.number(),
  loss: z.number(),
  tokens: z.number(),
});

/** The held-out text read in windows of so many tokens, or why it was not. */
const farWindowSchema = z.strictObject({
  window: z.number(),
  byPosition: z.array(positionSchema),
  leftOut: z.string().nullable(),
});
export type FarWindow = z.infer<typeof farWindowSchema>;

/** The answers at a distance by task, or why there are none. */
const recallAtDistanceSchema = z.strictObject({
  distance: z.number(),
  answers: z.array(z.strictObject({ task: z.enum(recallTaskNames), asked: z.number(), correct: z.number() })),
  leftOut: z.string().nullable(),
});
export type RecallAtDistance = z.infer<typeof recallAtDistanceSchema>;

const trainResultSchema = z.strictObject({
  ...measured,
  job: trainJobSchema,
  config: modelConfigSchema,
  parameters: z.number(),
  flopsPerToken: z.number(),
  lr: z.number(),
  warmup: z.number(),
  seed: z.number(),
  recompute: z.enum(recomputeNames),
  recomputeReason: z.string().nullable(),
  stepMs: z.array(z.number()),
  losses: z.array(z.number().nullable()),
  /** Before the first evaluation. */
  peakBytes: bytes,
  curve: z.array(evaluationPointSchema),
  /** The last model over more tokens; null where training failed. */
  final: z
    .strictObject({
      loss: z.number(),
      tokens: z.number(),
      /** With masking only; else null. */
      accuracy: z.number().nullable(),
      /** Sums of nats and how many tokens, in ranges of positions. */
      byPosition: z.array(positionSchema),
    })
    .nullable(),
  /** The last model beyond its context, in the windows of the job; absent where none were asked for. */
  beyond: z.array(farWindowSchema).optional(),
  /** Of the section recall: at the distances of the job. */
  recall: z.array(recallAtDistanceSchema).optional(),
  failure: z.string().nullable(),
});
export type TrainResult = z.infer<typeof trainResultSchema>;
export type Result = SpeedResult | TrainResult;

const FOLDER = "results";

function resultPath(folder: string, id: string): string {
  return join(folder, FOLDER, `${id}.json`);
}

/** Writes the result of a job; throws "io" when the disk refuses. */
export async function writeResult(folder: string, result: Result): Promise<void> {
  const path = resultPath(folder, result.job.id);
  await mkdir(dirname(path), { recursive: true });
  const text = JSON.stringify(result);
  await writeFileAtomic(path, [`{"sha256":"${digest(text)}","result":${text}}\n`]);
}

/** The result of a job; undefined when there is none. Throws "data" when the file is damaged or of another job. */
export async function readResult(folder: string, job: Job): Promise<Result | undefined> {
  const path = resultPath(folder, job.id);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new LonghandError("io", `cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
  const schema: z.ZodType<Result> = job.kind === "speed" ? speedResultSchema : trainResultSchema;
  const found = parse(text, path);
  const parsed = schema.safeParse(found);
  if (!parsed.success) throw new LonghandError("data", `${path}: ${describeIssues(parsed.error, found)}`);
  if (JSON.stringify(parsed.data.job) !== JSON.stringify(job)) {
    throw new LonghandError("data", `${path}: it holds the result of another job than the plan's`);
  }
  return parsed.data;
}

function parse(text: string, path: string): unknown {
  const damaged = new LonghandError("data", `${path}: it is damaged`);
  const [, sum, body] = /^\{"sha256":"([0-9a-f]{64})","result":(.*)\}\n$/s.exec(text) ?? [];
  if (body === undefined || digest(body) !== sum) throw damaged;
  return JSON.parse(body);
}

const digest = (text: string) => createHash("sha256").update(text).digest("hex");
