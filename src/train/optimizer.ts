/**
 * AdamW (Loshchilov and Hutter 2019): Adam with decoupled weight decay, which only matrices get, after clipping by the
 * global norm of all gradients. State and update are plain values; the loops (kernels.ts) run on the host, in place, one
 * pass over each array: on a CPU that is less traffic than the dozen element-wise operators of the same update in a graph,
 * which update-program.ts has for other devices.
 */
import type { HostTensor } from "../base/dtype.ts";
import { sizeOf } from "../base/shape.ts";
import { type Loop, runHere } from "./host-loops.ts";
import { type AdamWConfig, type OptimizerConfig, ruleOf, type UpdateRules } from "./optimizer-config.ts";

export type FloatArrays = Readonly<Record<string, Float32Array>>;

/** First moments, or momenta, of every gradient, and second moments of those that AdamW updates, by parameter path. */
export interface OptimizerState {
  readonly m: FloatArrays;
  readonly v: FloatArrays;
  /** The average of the parameters, where one is kept: the model that is evaluated, saved and used. */
  readonly average?: FloatArrays | undefined;
  /** The momentum of steps between meetings of processes (local-steps.ts), where they meet only now and then. */
  readonly outer?: FloatArrays | undefined;
}

/** Zeros, and where there is an average the parameters themselves: of those that are trained. `rules`: default, all by AdamW. */
export function initialOptimizerState(
  parameters: Readonly<Record<string, HostTensor>>,
  rules?: UpdateRules,
  ema = 0,
): OptimizerState {
  const zeros = (paths: readonly string[]) =>
    Object.fromEntries(paths.map((path) => [path, new Float32Array(sizeOf(parameters[path].shape))]));
  const paths = Object.keys(parameters);
  const copies = () => Object.fromEntries(paths.map((path) => [path, parameters[path].data.slice() as Float32Array]));
  return {
    ...{ m: zeros(paths), v: zeros(paths.filter((path) => rules?.get(path)?.by !== "muon")) },
    ...(ema > 0 && { average: copies() }),
  };
}

/** Loops whose results are the sums of squares of each gradient. */
export function squareLoops(gradients: FloatArrays): Loop[] {
  return Object.values(gradients).map((x) => ({ kernel: "squares", arrays: { x }, factors: {}, length: x.length }));
}

/** Root of the sum of what squareLoops return: the global norm; NaN or Infinity when any element is. */
export function normOf(sumsOfSquares: readonly number[]): number {
  let total = 0;
  for (const sum of sumsOfSquares) total += sum;
  return Math.sqrt(total);
}

/** Root of the sum of squares of all elements, accumulated in float64. */
export const globalNorm = (gradients: FloatArrays) => normOf(runHere(squareLoops(gradients)));

export interface ParameterUpdate {
  readonly parameters: Readonly<Record<string, HostTensor>>;
  readonly gradients: FloatArrays;
  /** What the gradients are to be multiplied with first: 1 / batches where several were added up. Default 1. */
  readonly scale?: number;
  readonly state: OptimizerState;
  /** 1 for the first update. */
  readonly step: number;
  readonly learningRate: number;
  /** The scaled gradients' global norm. */
  readonly gradientNorm: number;
  readonly config: OptimizerConfig;
}

/**
 * What depends on the number of the update (1 for the first): [rate, epsilon, keep] of
 * p = keep p - rate m / (sqrt v + epsilon), which is m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon) with both
 * corrections moved out of it. keep is that of matrices; others keep all.
 */
export function adamwFactors(update: number, learningRate: number, config: AdamWConfig): [number, number, number] {
  const { beta1, beta2, epsilon, weightDecay } = config;
  const rate = (learningRate / (1 - beta1 ** update)) * Math.sqrt(1 - beta2 ** update);
  return [rate, epsilon * Math.sqrt(1 - beta2 ** update), 1 - learningRate * weightDecay];
}

/** What gradients are multiplied with: 1 / batches, and what clips their global norm. */
export function clipScale({ scale = 1, gradientNorm, config: { clip } }: ParameterUpdate): number {
  return scale * (clip > 0 ? Math.min(1, clip / (gradientNorm + 1e-6)) : 1);
}

/** Loops that update parameters and state in place: those that `rules` give to AdamW; default: all, and decays matrices. */
export function adamwLoops(update: ParameterUpdate, rules?: UpdateRules): Loop[] {
  const { parameters, gradients, state, step, learningRate, config } = update;
  const { beta1, beta2 } = config;
  const scale = clipScale(update);
  const [rate, epsilon, keepOfDecayed] = adamwFactors(step, learningRate, config);
  return Object.entries(gradients).flatMap(([path, g]): Loop[] => {
    const { data, shape } = parameters[path];
    const { by, decayed } = rules?.get(path) ?? ruleOf({ path, shape }, config);
    if (by !== "adamw") return [];
    const arrays = { p: data as Float32Array, g, m: state.m[path], v: state.v[path] };
    const factors = { scale, beta1, beta2, rate, epsilon, keep: decayed ? keepOfDecayed : 1 };
    return [{ kernel: "adamw", arrays, factors, length: data.length }];
  });
}
