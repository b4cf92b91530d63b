/**
 * The update of optimizer.ts as a program of the graph's operators, for devices that keep parameters and moments: AdamW
 * after clipping by the global norm; a step that is not finite changes nothing. What the host would compute from the
 * number of updates (learning rate, bias correction) comes as a small table, from which the device takes the row of its own
 * count: the host need not know whether the steps before were applied.
 */
import type { Shape } from "../base/shape.ts";
import { type Program, program } from "../graph/program.ts";
import { constant, input, type Tensor } from "../graph/tensor.ts";
import { type FlatGroup, flatShape, flatten, unflatten } from "./flat.ts";
import { mapsOf, muonUpdates } from "./muon.ts";
import { adamwFactors } from "./optimizer.ts";
import { emaKeep, MOMENTUM, type OptimizerConfig, ruleOf } from "./optimizer-config.ts";

/** Steps whose outcomes the device keeps at most. */
export const LOG_STEPS = 8;

export const momentNames = (group: number) => ({ m: `m/${group}`, v: `v/${group}` });
/** The name under which a program returns the next value of one of its inputs. */
export const nextName = (name: string) => `next.${name}`;
export const averageName = (path: string) => `average.${path}`;
export const groupGradientName = (group: number) => `gradients/${group}`;

export interface UpdateOptions {
  readonly groups: readonly FlatGroup[];
  /** Batches whose gradients and losses were added up. */
  readonly accumulate: number;
  readonly config: OptimizerConfig;
}

/**
 * Inputs: every parameter by path, with an average `average.PATH` too; `m/i`, of what AdamW updates `v/i`, and `gradients/i` [rows, 1024] of each group; loss [1], a sum over the
 * batches; count int32 [1], the updates applied so far; known int32 [1], the count that row 0 of the table is for;
 * factors [LOG_STEPS, 5], as `updateFactors` makes them; log [LOG_STEPS, 3]. Outputs, by `nextName`: the new values of
 * parameters, moments and count; log without its first row, and with [loss, gradient norm, 1 if applied] as its last.
 */
export function updateProgram({ groups, accumulate, config }: UpdateOptions): Program {
  const { beta1, beta2, clip, momentum = MOMENTUM, ema = 0 } = config;
  const gradients = groups.map((group, i) => input(groupGradientName(i), flatShape(group)));
  const count = input("count", [1], "int32");
  const loss = input("loss", [1]).mul(1 / accumulate);
  const squares = gradients.map((g) => g.mul(g).sum([1]).sum([0]));
  const norm = squares
    .reduce((sum, square) => sum.add(square))
    .reshape([1])
    .sqrt()
    .mul(1 / accumulate);
  const applied = finite(loss).and(finite(norm));
  const row = input("factors", [LOG_STEPS, FACTORS]).gather(count.sub(input("known", [1], "int32")));
  const [rate, epsilon, keep, learningRate, fresh] = row
    .reshape([FACTORS])
    .split(0, new Array<number>(FACTORS).fill(1));
  // clip / (norm + 1e-6), at most 1
  const clipped = clip > 0 ? norm.add(1e-6).reciprocal().mul(clip).min(1) : norm.constant(1);
  const scale = clipped.mul(1 / accumulate);

  const outputs: Record<string, Tensor> = {};
  for (const [i, group] of groups.entries()) {
    const { by, decayed } = ruleOf(group.parts[0], config);
    const names = momentNames(i);
    const m = input(names.m, flatShape(group));
    const p = flatten(group, new Map(group.parts.map(({ path, shape }) => [path, input(path, shape)])));
    const g = gradients[i].mul(scale);
    let newM: Tensor;
    let move: Tensor;
    if (by === "muon") {
      newM = m.mul(momentum).add(g);
      move = muonOf(group, g.add(newM.mul(momentum))).mul(learningRate);
    } else {
      const v = input(names.v, flatShape(group));
      newM = m.mul(beta1).add(g.mul(1 - beta1));
      const newV = v.mul(beta2).add(g.mul(g).mul(1 - beta2));
      move = newM.mul(rate).div(newV.sqrt().add(epsilon));
      outputs[nextName(names.v)] = applied.where(newV, v);
    }
    const newP = (decayed ? p.mul(keep) : p).sub(move);
    const put = (name: (path: string) => string, flat: Tensor) => {
      for (const [k, tensor] of unflatten(group, flat).entries()) outputs[nextName(name(group.parts[k].path))] = tensor;
    };
    put((path) => path, applied.where(newP, p));
    if (ema > 0) {
      const average = flatten(
        group,
        new Map(group.parts.map(({ path, shape }) => [path, input(averageName(path), shape)])),
      );
      put(averageName, applied.where(average.add(newP.sub(average).mul(fresh)), average));
    }
    outputs[nextName(names.m)] = applied.where(newM, m);
  }
  outputs[nextName("count")] = count.add(applied.cast("int32"));
  const entry = loss.concat([norm, applied.cast("float32")], 0).reshape([1, 3]);
  outputs[nextName("log")] = input("log", [LOG_STEPS, 3]).slice(0, 1, LOG_STEPS).concat([entry], 0);
  return program("update", outputs);
}

/** Muon's updates of a group of maps, from their directions, flat as well. */
function muonOf(group: FlatGroup, directions: Tensor): Tensor {
  const tensors = unflatten(group, directions);
  const momenta = new Map(group.parts.map(({ path }, i) => [path, tensors[i]]));
  return flatten(group, muonUpdates(mapsOf(group.parts), momenta));
}

/** Adds up batches. Inputs: `gradients/i` and loss so far, and of one more batch as `added.…`; outputs, by `nextName`: the sums. */
export function accumulateProgram(groups: readonly FlatGroup[]): Program {
  const sum = (name: string, shape: Shape) => [nextName(name), input(name, shape).add(input(addedName(name), shape))];
  const gradients = groups.map((group, i) => sum(groupGradientName(i), flatShape(group)));
  return program("accumulate", Object.fromEntries([...gradients, sum("loss", [1])]));
}

export const addedName = (name: string) => `added.${name}`;

/** Both comparisons are false for NaN. (Compilers of shaders may take x - x for 0 and x = x for true.) */
function finite(x: Tensor): Tensor {
  const largest = constant(Float32Array.of(3.4e38), [1]);
  return x.less(largest).and(largest.neg().less(x));
}

/** Of one update: rate and epsilon with Adam's bias corrections, the share that decay leaves, the plain learning rate,
 * and how much of the new parameters goes into their average. */
const FACTORS = 5;

/** The factors of the next LOG_STEPS updates after `updates`, of which the steps that are not applied use up none, as rows. */
export function updateFactors(updates: number, learningRate: number, config: OptimizerConfig): Float32Array {
  const factors = new Float32Array(FACTORS * LOG_STEPS);
  for (let i = 0; i < LOG_STEPS; i++) {
    const update = updates + 1 + i;
    const fresh = 1 - emaKeep(config.ema ?? 0, update);
    factors.set([...adamwFactors(update, learningRate, config), learningRate, fresh], FACTORS * i);
  }
  return factors;
}
