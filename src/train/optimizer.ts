/**
 * AdamW (Loshchilov and Hutter 2019): Adam with decoupled weight decay, which only matrices get, after clipping by the
 * global norm of all gradients. State and update are plain values; the loops run on the host, in place, one pass over
 * each array: on a CPU that is less traffic than the dozen element-wise operators of the same update in a graph, which
 * update-program.ts has for other devices.
 */
import type { HostTensor } from "../base/dtype.ts";
import { sizeOf } from "../base/shape.ts";
import { type AdamWConfig, type OptimizerConfig, ruleOf, type UpdateRules } from "./optimizer-config.ts";

export type FloatArrays = Readonly<Record<string, Float32Array>>;

/** First moments, or momenta, of every gradient, and second moments of those that AdamW updates, by parameter path. */
export interface OptimizerState {
  readonly m: FloatArrays;
  readonly v: FloatArrays;
  /** The average of the parameters, where one is kept: the model that is evaluated, saved and used. */
  readonly average?: FloatArrays | undefined;
}

/** Zeros, and where there is an average the parameters themselves. `rules`: default, all by AdamW. */
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

/** Root of the sum of squares of all elements, accumulated in float64; NaN or Infinity when any element is. */
export function globalNorm(gradients: FloatArrays): number {
  let total = 0;
  for (const path in gradients) total += sumOfSquares(gradients[path]);
  return Math.sqrt(total);
}

/** Four partial sums, so that additions need not wait for each other. */
function sumOfSquares(x: Float32Array): number {
  const end = x.length - (x.length % 4);
  let [a, b, c, d] = [0, 0, 0, 0];
  for (let i = 0; i < end; i += 4) {
    a += x[i] * x[i];
    b += x[i + 1] * x[i + 1];
    c += x[i + 2] * x[i + 2];
    d += x[i + 3] * x[i + 3];
  }
  for (let i = end; i < x.length; i++) a += x[i] * x[i];
  return a + b + (c + d);
}

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

/** Updates parameters and state in place: those that `rules` give to AdamW; default: all, and decays matrices. */
export function adamw(update: ParameterUpdate, rules?: UpdateRules): void {
  const { parameters, gradients, state, step, learningRate, config } = update;
  const { beta1, beta2 } = config;
  const scale = clipScale(update);
  const [rate, epsilon, keepOfDecayed] = adamwFactors(step, learningRate, config);
  for (const path in parameters) {
    const { data, shape } = parameters[path];
    const { by, decayed } = rules?.get(path) ?? ruleOf({ path, shape }, config);
    if (by !== "adamw") continue;
    const factors = { scale, beta1, beta2, rate, epsilon, keep: decayed ? keepOfDecayed : 1 };
    updateOne(data as Float32Array, gradients[path], state.m[path], state.v[path], factors);
  }
}

interface UpdateFactors {
  readonly scale: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly rate: number;
  readonly epsilon: number;
  readonly keep: number;
}

function updateOne(p: Float32Array, g: Float32Array, m: Float32Array, v: Float32Array, factors: UpdateFactors): void {
  const { scale, beta1, beta2, rate, epsilon, keep } = factors;
  const fresh1 = (1 - beta1) * scale;
  const fresh2 = (1 - beta2) * scale * scale;
  for (let i = 0; i < p.length; i++) {
    const gi = g[i];
    const mi = beta1 * m[i] + fresh1 * gi;
    const vi = beta2 * v[i] + fresh2 * (gi * gi);
    m[i] = mi;
    v[i] = vi;
    p[i] = keep * p[i] - (rate * mi) / (Math.sqrt(vi) + epsilon);
  }
}
