/** What can be chosen of the optimiser, and which of its updates each parameter gets. */
import type { Parameter } from "../nn/scope.ts";

export interface AdamWConfig {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Added to the update as weightDecay * parameter, for parameters of two axes or more. */
  readonly weightDecay: number;
  /** Gradients of a larger global norm are scaled down to it; 0 switches clipping off. */
  readonly clip: number;
}

export const optimizerNames = ["adamw", "muon"] as const;
/** Which parameters weight decay reaches: all of two axes or more; or linear maps and tables, not scales stored as rows. */
export const decayedNames = ["matrices", "maps"] as const;

export const MOMENTUM = 0.95;

export interface OptimizerConfig extends AdamWConfig {
  /** muon updates linear maps by Muon, everything else by AdamW. Default: adamw. */
  readonly name?: (typeof optimizerNames)[number];
  /** Of Muon. Default: MOMENTUM. */
  readonly momentum?: number;
  /** Default: matrices. */
  readonly decayed?: (typeof decayedNames)[number];
  /** What each update leaves of the exponential moving average of the parameters; 0: there is none. Default: 0. */
  readonly ema?: number;
}

/**
 * What update number `update` leaves of the average: less at first, so that it does not remember where training started
 * (Tan and Le 2019, EfficientNet, as in its published code).
 */
export function emaKeep(ema: number, update: number): number {
  return Math.min(ema, (1 + update) / (10 + update));
}

/** How a parameter is updated. */
export interface UpdateRule {
  readonly by: (typeof optimizerNames)[number];
  readonly decayed: boolean;
}

type Ruled = Pick<Parameter, "path" | "shape"> & Partial<Pick<Parameter, "role">>;

export function ruleOf({ shape, role = "other" }: Ruled, { name, decayed }: OptimizerConfig): UpdateRule {
  return {
    by: name === "muon" && typeof role === "object" ? "muon" : "adamw",
    decayed: decayed === "maps" ? role !== "other" : shape.length > 1,
  };
}

export type UpdateRules = ReadonlyMap<string, UpdateRule>;

/** By path. */
export function rulesOf(parameters: readonly Ruled[], config: OptimizerConfig): UpdateRules {
  return new Map(parameters.map((parameter) => [parameter.path, ruleOf(parameter, config)]));
}
