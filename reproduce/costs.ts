/**
 * How long steps take, estimated from a short calibration: a model is measured at two contexts with the same tokens a
 * step. The time of a token is affine in the context for attention over the whole square (T tokens cost each of them
 * T), which two points determine, and does not depend on it for the others: there the mean of both is taken, since a
 * slope would be noise that grows with the distance. Memory is estimated from the graph of the step, when the plan is
 * made.
 */
import type { ArchitectureName } from "longhand";
import { type Recompute, recomputeNames } from "longhand/graph";
import { z } from "zod";
import { isQuadratic } from "./architectures.ts";

export const calibrationPointSchema = z.strictObject({
  model: z.string(),
  recompute: z.enum(recomputeNames),
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
  /** Seconds of a training step. */
  step(model: ArchitectureName, context: number, tokens: number, recompute?: Recompute): number;
  /** Seconds of evaluating so many tokens. */
  evaluation(model: ArchitectureName, context: number, tokens: number): number;
  /** Seconds of starting a process. */
  start(model: ArchitectureName): number;
  /** Peak bytes of a process that trains. */
  bytes(model: ArchitectureName, context: number, tokens: number, recompute: Recompute): number;
}

/** A forward pass takes about this share of a training step. */
const EVALUATION_SHARE = 0.35;
/** Beyond the contexts that were measured, caches help less: estimates are raised by this. */
const BEYOND_MEASURED = 1.15;
/** What recomputation costs where it was not measured. */
const RECOMPUTE_TIME = 1.35;

/** Throws when a model was not measured at two contexts. */
export function costsFrom(points: readonly CalibrationPoint[], bytes: Costs["bytes"]): Costs {
  const fits = new Map<string, Fit>();
  const keyOf = (model: string, recompute: Recompute) => `${model} ${recompute}`;
  for (const { model, recompute } of points) {
    const key = keyOf(model, recompute);
    if (!fits.has(key))
      fits.set(key, lineThrough(points.filter((point) => keyOf(point.model, point.recompute) === key)));
  }
  const plain = (model: ArchitectureName): Fit => {
    const own = fits.get(keyOf(model, "none"));
    if (own === undefined) throw new Error(`calibration: ${model} was not measured`);
    return own;
  };
  const fitOf = (model: ArchitectureName, recompute: Recompute): Fit => {
    if (recompute === "none") return plain(model);
    return fits.get(keyOf(model, recompute)) ?? recomputedLike(plain(model), kinOf(model));
  };
  /** Fits without and with recomputation of a measured model whose cost grows in the same way. */
  const kinOf = (model: ArchitectureName): [Fit, Fit] | undefined => {
    const kin = isQuadratic(model) ? "transformer++" : "flash";
    const pair = recomputeNames.map((recompute) => fits.get(keyOf(kin, recompute)));
    return pair[0] && pair[1] && [pair[0], pair[1]];
  };
  return {
    step: (model, context, tokens, recompute = "none") => tokens * fitOf(model, recompute).secondsPerToken(context),
    evaluation: (model, context, tokens) => EVALUATION_SHARE * tokens * plain(model).secondsPerToken(context),
    start: (model) => plain(model).start,
    bytes,
  };
}

/** Assumes that recomputation slows a model down as much as its kin. */
function recomputedLike(own: Fit, kin: [plain: Fit, again: Fit] | undefined): Fit {
  const ratio = (context: number) =>
    kin === undefined ? RECOMPUTE_TIME : kin[1].secondsPerToken(context) / kin[0].secondsPerToken(context);
  return { ...own, secondsPerToken: (context) => own.secondsPerToken(context) * ratio(context) };
}

interface Fit {
  readonly start: number;
  secondsPerToken(context: number): number;
}

function lineThrough(points: readonly CalibrationPoint[]): Fit {
  const [near, far] = [...points].sort((a, b) => a.context - b.context);
  if (far === undefined || near.context === far.context) {
    throw new Error(`calibration: ${near.model} needs two contexts, got ${points.map(({ context }) => context)}`);
  }
  const [nearSeconds, farSeconds] = [near, far].map(({ milliseconds, tokens }) => milliseconds / 1000 / tokens);
  const seconds = isQuadratic(near.model)
    ? line(near.context, nearSeconds, far.context, farSeconds)
    : () => (nearSeconds + farSeconds) / 2;
  return {
    start: Math.max(near.startSeconds, far.startSeconds),
    secondsPerToken: (context) => seconds(context) * (context > far.context ? BEYOND_MEASURED : 1),
  };
}

/** Through two points; a falling line can only be noise and is taken as constant at y1. */
function line(x1: number, y1: number, x2: number, y2: number): (x: number) => number {
  if (y2 <= y1) return () => y1;
  const slope = (y2 - y1) / (x2 - x1);
  return (x) => Math.max(y1 / 2, y1 + slope * (x - x1));
}
