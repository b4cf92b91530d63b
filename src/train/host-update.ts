/**
 * The optimiser on arrays of the host: AdamW in loops (optimizer.ts); Muon's momentum in loops too, and what makes it
 * orthogonal as a program of the engine (muon.ts), since that is matrix products.
 */
import type { CompiledFunction, Engine, HostArraysByName } from "../runtime/engine.ts";
import type { FlatPart } from "./flat.ts";
import { type HostLoops, type Loop, loopsHere } from "./host-loops.ts";
import { mapsOf, muonProgram, updateName } from "./muon.ts";
import { adamwLoops, clipScale, type ParameterUpdate } from "./optimizer.ts";
import { emaKeep, MOMENTUM, type OptimizerConfig, rulesOf } from "./optimizer-config.ts";

import type { Shard } from "./shard.ts";

export interface HostUpdate {
  /** Updates parameters and state in place. */
  apply(step: ParameterUpdate): Promise<void>;
  release(): Promise<void>;
}

export interface HostUpdateOptions {
  /** Default: the caller's thread. */
  readonly loops?: HostLoops;
  /** What of the state is this process's; default: everything. */
  readonly shard?: Shard | undefined;
}

/** `config` says which parameters are updated how; rates, decays and momenta are those of each step's own. */
export async function createHostUpdate(
  engine: Engine,
  parameters: readonly FlatPart[],
  config: OptimizerConfig,
  { loops = loopsHere, shard }: HostUpdateOptions = {},
): Promise<HostUpdate> {
  const rules = rulesOf(parameters, config);
  const own = parameters.filter(({ path }) => shard === undefined || shard.owns(path));
  const maps = mapsOf(own.filter(({ path }) => rules.get(path)?.by === "muon"));
  const muon: CompiledFunction | undefined = maps.length > 0 ? await engine.compile(muonProgram(maps)) : undefined;
  const directions = Object.fromEntries(maps.map(({ path, shape }) => [path, new Float32Array(shape[0] * shape[1])]));
  return {
    async apply(step) {
      const part = shard ? { ...step, gradients: shard.own(step.gradients) } : step;
      await loops.run([...adamwLoops(part, rules), ...momentumLoops(part)]);
      if (muon) await loops.run(moveLoops(part, await muon.run(directions)));
      await shard?.exchange(step.parameters, `the parameters of update ${step.step}`);
      const { ema } = step.config;
      if (ema) await loops.run(averageLoops(step, emaKeep(ema, step.step)));
    },
    async release() {
      await muon?.release();
    },
  };

  function momentumLoops(step: ParameterUpdate): Loop[] {
    const { gradients, state, config } = step;
    const factors = { scale: clipScale(step), momentum: config.momentum ?? MOMENTUM };
    return Object.entries(directions).map(([path, direction]) => {
      const arrays = { direction, m: state.m[path], g: gradients[path] };
      return { kernel: "momentum", arrays, factors, length: direction.length };
    });
  }

  function moveLoops(step: ParameterUpdate, updates: HostArraysByName): Loop[] {
    const { parameters, learningRate: rate, config } = step;
    return Object.keys(directions).map((path) => {
      const keep = rules.get(path)?.decayed ? 1 - rate * config.weightDecay : 1;
      const arrays = { p: parameters[path].data as Float32Array, update: updates[updateName(path)] as Float32Array };
      return { kernel: "move", arrays, factors: { keep, rate }, length: arrays.p.length };
    });
  }
}

function averageLoops({ parameters, state }: ParameterUpdate, keep: number): Loop[] {
  return Object.entries(state.average ?? {}).map(([path, mean]) => {
    const arrays = { mean, p: parameters[path].data as Float32Array };
    return { kernel: "average", arrays, factors: { keep }, length: mean.length };
  });
}
