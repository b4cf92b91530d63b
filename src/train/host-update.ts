/**
 * The optimiser on arrays of the host: AdamW in loops (optimizer.ts); Muon's momentum in loops too, and what makes it
 * orthogonal as a program of the engine (muon.ts), since that is matrix products.
 */
import type { CompiledFunction, Engine } from "../runtime/engine.ts";
import type { FlatPart } from "./flat.ts";
import { mapsOf, muonProgram, updateName } from "./muon.ts";
import { adamw, clipScale, type ParameterUpdate } from "./optimizer.ts";
import { emaKeep, MOMENTUM, type OptimizerConfig, rulesOf } from "./optimizer-config.ts";

export interface HostUpdate {
  /** Updates parameters and state in place. */
  apply(step: ParameterUpdate): Promise<void>;
  release(): Promise<void>;
}

export async function createHostUpdate(
  engine: Engine,
  parameters: readonly FlatPart[],
  config: OptimizerConfig,
): Promise<HostUpdate> {
  const rules = rulesOf(parameters, config);
  const maps = mapsOf(parameters.filter(({ path }) => rules.get(path)?.by === "muon"));
  const muon: CompiledFunction | undefined = maps.length > 0 ? await engine.compile(muonProgram(maps)) : undefined;
  const directions = Object.fromEntries(maps.map(({ path, shape }) => [path, new Float32Array(shape[0] * shape[1])]));
  return {
    async apply(step) {
      adamw(step, rules);
      if (muon) await applyMuon(step, muon);
      if (config.ema) average(step, emaKeep(config.ema, step.step));
    },
    async release() {
      await muon?.release();
    },
  };

  async function applyMuon(step: ParameterUpdate, { run }: CompiledFunction): Promise<void> {
    const { parameters, gradients, state, learningRate } = step;
    const { momentum = MOMENTUM, weightDecay } = config;
    const scale = clipScale(step);
    for (const path in directions) takeMomentum(directions[path], state.m[path], gradients[path], { scale, momentum });
    const updates = await run(directions);
    for (const path in directions) {
      const keep = rules.get(path)?.decayed ? 1 - learningRate * weightDecay : 1;
      move(parameters[path].data as Float32Array, updates[updateName(path)] as Float32Array, { keep, learningRate });
    }
  }
}

function average({ parameters, state }: ParameterUpdate, keep: number): void {
  for (const [path, mean] of Object.entries(state.average ?? {})) {
    const { data } = parameters[path];
    for (let i = 0; i < mean.length; i++) mean[i] += (1 - keep) * (data[i] - mean[i]);
  }
}

interface MomentumFactors {
  readonly scale: number;
  readonly momentum: number;
}

/** m = momentum m + g, and Nesterov's direction g + momentum m. */
function takeMomentum(
  direction: Float32Array,
  m: Float32Array,
  gradient: Float32Array,
  { scale, momentum }: MomentumFactors,
): void {
  for (let i = 0; i < m.length; i++) {
    const g = scale * gradient[i];
    const mi = momentum * m[i] + g;
    m[i] = mi;
    direction[i] = g + momentum * mi;
  }
}

interface MoveFactors {
  readonly keep: number;
  readonly learningRate: number;
}

function move(p: Float32Array, update: Float32Array, { keep, learningRate }: MoveFactors): void {
  for (let i = 0; i < p.length; i++) p[i] = keep * p[i] - learningRate * update[i];
}
