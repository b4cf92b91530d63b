/**
 * What follows from measured speeds: the speed of sizes that were not measured, from their arithmetic, and how long a
 * training of each size would take and what energy.
 */
import type { PresetName } from "../../models/presets.ts";
import type { Speed } from "./speed.ts";

/** Tokens that a parameter is trained on where computing is used best (Hoffmann et al. 2022, "Chinchilla"). */
export const TOKENS_PER_PARAMETER = 20;
/** What a training reaches of the rate of plain products, where no size has been measured. */
const USUAL_EFFICIENCY = 0.6;

export interface BenchPreset {
  readonly preset: PresetName;
  readonly parameters: number;
  /** Floating-point operations of a training step for a token, the optimiser's included; only matrix products count. */
  readonly flopsPerToken: number;
  /** Of training. */
  readonly tokensPerSecond: number;
  /** Steps that were timed; 0 where the speed is an estimate. */
  readonly steps: number;
  /** What the training reaches of the rate of plain products. */
  readonly efficiency: number;
  /** That a training takes at most, by estimate. */
  readonly memoryBytes: number;
  readonly fits: boolean;
  /** To train on: TOKENS_PER_PARAMETER for each parameter. */
  readonly tokens: number;
  readonly days: number;
  /** Of the processor in that time; null where the machine does not tell. */
  readonly wattHours: number | null;
  /** Of writing, one token at a time; null where there is neither a measurement nor one to estimate from. */
  readonly decodingPerSecond: number | null;
  /** Tokens that were timed; 0 where it is an estimate. */
  readonly decodingSteps: number;
}

/** A size before anything is derived from its speed. */
export interface Measured
  extends Pick<BenchPreset, "preset" | "parameters" | "flopsPerToken" | "memoryBytes" | "fits"> {
  /** Nothing, where it was not measured. */
  readonly speed: Speed;
}

const rateOf = ({ tokens, seconds }: { readonly tokens: number; readonly seconds: number }) => tokens / seconds;

/** What training reaches of `flops`, the rate of plain products: that of the largest size that was measured. */
export function efficiencyOf(measured: readonly Measured[], flops: number): number {
  const largest = measured.findLast(({ speed }) => speed.training !== undefined);
  if (largest?.speed.training === undefined) return USUAL_EFFICIENCY;
  return (rateOf(largest.speed.training) * largest.flopsPerToken) / flops;
}

/** While all sizes that were measured trained. */
export function wattsOf(measured: readonly Measured[]): number | null {
  let [joules, seconds] = [0, 0];
  for (const { training } of measured.map(({ speed }) => speed)) {
    if (training?.joules === undefined) continue;
    joules += training.joules;
    seconds += training.seconds;
  }
  return seconds > 0 ? joules / seconds : null;
}

/** Each size, smallest first, with what follows from its speed. */
export function estimated(all: readonly Measured[], flops: number): BenchPreset[] {
  return all.map((one) => described(one, all, flops));
}

function described(one: Measured, all: readonly Measured[], flops: number): BenchPreset {
  const { preset, parameters, flopsPerToken, memoryBytes, fits, speed } = one;
  const estimate = (efficiencyOf(all, flops) * flops) / flopsPerToken;
  const tokensPerSecond = speed.training ? rateOf(speed.training) : estimate;
  const tokens = TOKENS_PER_PARAMETER * parameters;
  const seconds = tokens / tokensPerSecond;
  const watts = wattsOf(speed.training ? [one] : all);
  return {
    ...{ preset, parameters, flopsPerToken, tokensPerSecond },
    steps: speed.training?.steps ?? 0,
    efficiency: (tokensPerSecond * flopsPerToken) / flops,
    ...{ memoryBytes, fits, tokens },
    days: seconds / 86_400,
    wattHours: watts === null ? null : (watts * seconds) / 3600,
    decodingPerSecond: speed.decoding ? rateOf(speed.decoding) : estimatedDecoding(one, all),
    decodingSteps: speed.decoding?.steps ?? 0,
  };
}

/** A token reads every parameter once: its time grows with their number. */
function estimatedDecoding({ parameters }: Measured, all: readonly Measured[]): number | null {
  const largest = all.findLast(({ speed }) => speed.decoding !== undefined);
  return largest?.speed.decoding ? (rateOf(largest.speed.decoding) * largest.parameters) / parameters : null;
}
