/**
 * How long steps take and how much memory they need, estimated from a short calibration: a model is measured at two
 * contexts with the same tokens a step. Time and memory of a token are affine in the context for every architecture here
 * (attention of T tokens costs each of them T), which two points determine.
 */
import type { Recompute } from "../graph/recompute.ts";
import type { ArchitectureName } from "../models/config.ts";
import { z } from "zod";

export const calibrationPointSchema = z.strictObject({
  model: z.string(),
  context: z.number(),
  tokens: z.number(),
  /** Of one step, warmed up. */
  milliseconds: z.number(),
  peakBytes: z.number(),
  /** Before the first step. */
  baseBytes: z.number(),
  /** From starting the process until it is ready. */
  startSeconds: z.number(),
});
export type CalibrationPoint = z.infer<typeof calibrationPointSchema>;

export interface Costs {
  readonly models: readonly ArchitectureName[];
  /** Seconds of a training step. */
  step(model: ArchitectureName, context: number, tokens: number, recompute?: Recompute): number;
  /** Seconds of evaluating so many tokens. */
  evaluation(model: ArchitectureName, context: number, tokens: number): number;
  /** Seconds of starting a process. */
  start(model: ArchitectureName): number;
  /** Peak bytes of a process that trains. */
  bytes(model: ArchitectureName, context: number, tokens: number, recompute?: Recompute): number;
}

/** A forward pass takes about this share of a training step. */
const EVALUATION_SHARE = 0.4;
/** Beyond the contexts that were measured, caches help less: estimates are raised by this. */
const BEYOND_MEASURED = 1.15;
/** What recomputation adds to the time, and what is left of the memory above a process without activations. */
const RECOMPUTE = { time: 1.35, bytes: 0.45 } as const;

/** Throws when a model was measured at no two contexts. */
export function costsFrom(points: readonly CalibrationPoint[]): Costs {
  const fits = new Map<string, Fit>();
  for (const model of new Set(points.map((point) => point.model))) {
    fits.set(model, fit(points.filter((point) => point.model === model)));
  }
  const fitOf = (model: ArchitectureName): Fit => {
    const own = fits.get(model);
    if (own === undefined) throw new Error(`calibration: ${model} was not measured`);
    return own;
  };
  return {
    models: [...fits.keys()] as ArchitectureName[],
    step: (model, context, tokens, recompute = "none") =>
      tokens * fitOf(model).secondsPerToken(context) * (recompute === "none" ? 1 : RECOMPUTE.time),
    evaluation: (model, context, tokens) => EVALUATION_SHARE * tokens * fitOf(model).secondsPerToken(context),
    start: (model) => fitOf(model).start,
    bytes: (model, context, tokens, recompute = "none") => {
      const { base, bytesPerToken } = fitOf(model);
      return base + tokens * bytesPerToken(context) * (recompute === "none" ? 1 : RECOMPUTE.bytes);
    },
  };
}

interface Fit {
  readonly start: number;
  readonly base: number;
  secondsPerToken(context: number): number;
  bytesPerToken(context: number): number;
}

function fit(points: readonly CalibrationPoint[]): Fit {
  const [near, far] = [...points].sort((a, b) => a.context - b.context);
  if (far === undefined || near.context === far.context) {
    throw new Error(`calibration: ${near.model} needs two contexts, got ${points.map(({ context }) => context)}`);
  }
  const base = Math.min(near.baseBytes, far.baseBytes);
  const seconds = line(near.context, near.milliseconds / 1000 / near.tokens, far.context, far.milliseconds / 1000 / far.tokens);
  const bytes = line(near.context, (near.peakBytes - base) / near.tokens, far.context, (far.peakBytes - base) / far.tokens);
  return {
    start: Math.max(near.startSeconds, far.startSeconds),
    base,
    secondsPerToken: (context) => seconds(context) * (context > far.context ? BEYOND_MEASURED : 1),
    bytesPerToken: bytes,
  };
}

/** Through two points; what falls (noise) is taken as flat at the higher of them. */
function line(x1: number, y1: number, x2: number, y2: number): (x: number) => number {
  if (y2 <= y1) return () => y1;
  const slope = (y2 - y1) / (x2 - x1);
  return (x) => Math.max(y1 / 2, y1 + slope * (x - x1));
}
