/**
 * The engine's binding and the runtime's session options, one at a time against the default: steps of FLASH in two
 * processes, in turn. Processor time has the ticks of the system, 10 ms; a thread pool that goes on spinning after a step
 * is counted to it.
 */
import { type MeasuredProcess, type StepReply, settle, turns, withProcesses } from "../reproduce/process.ts";
import { ratios, type Spread, spread } from "../reproduce/statistics.ts";
import type { PresetName } from "../src/models/presets.ts";
import type { OrtNodeOptions } from "../src/runtime/ort-node.ts";
import { longhandWorker, threads } from "./longhand.ts";
import type { PairOptions } from "./pair.ts";
import { architectureSetup, writeSetup } from "./setup.ts";

export interface EngineComparison {
  readonly name: string;
  readonly defaultMilliseconds: Spread;
  /** Of a step, over the default's in the same round. */
  readonly time: Spread;
  readonly processorTime: Spread;
  /** Whether the losses of all steps are those of the default, bit for bit. */
  readonly sameBits: boolean;
}

export interface EngineReport {
  readonly preset: PresetName;
  readonly tokensPerStep: number;
  readonly comparisons: readonly EngineComparison[];
}

const CONTEXT = 512;
const TOKENS_PER_STEP = 1024;

/** Threads of the pool, all but the one that calls, each on a processor of its own; they are counted from 1. */
const affinities = Array.from({ length: threads() - 1 }, (_, i) => i + 2).join(";");

const options: readonly (readonly [key: string, value: string])[] = [
  ["session.intra_op.spin_duration_us", "-1"], // the runtime's own choice
  ["session.intra_op.spin_duration_us", "100"],
  ["session.intra_op.spin_duration_us", "10000"],
  ["session.intra_op.allow_spinning", "0"],
  ["session.force_spinning_stop", "1"],
  ...(affinities === "" ? [] : [["session.intra_op_thread_affinities", affinities] as const]),
  ["session.dynamic_block_base", "4"],
  ["session.set_denormal_as_zero", "1"],
];

const variants: readonly (readonly [name: string, engine: OrtNodeOptions])[] = [
  ["default again", {}],
  ["binding node", { binding: "node" }],
  ...options.map(([key, value]) => [`${key} ${value}`, { config: { [key]: value } }] as const),
];

interface EngineBenchOptions extends PairOptions {
  readonly preset: PresetName;
}

export async function benchEngine({ preset, ...options }: EngineBenchOptions): Promise<EngineReport> {
  const setup = architectureSetup("flash", { preset, context: CONTEXT, tokensPerStep: TOKENS_PER_STEP });
  const file = writeSetup(setup);
  try {
    const comparisons: EngineComparison[] = [];
    for (const [name, engine] of variants) {
      options.note(`engine: ${name}`);
      const processes = [longhandWorker("default", file.path, {}), longhandWorker(name, file.path, engine)];
      const [usual, changed] = await withProcesses(processes, (workers) => stepsInTurn(workers, options));
      comparisons.push({
        name,
        defaultMilliseconds: spread(usual.milliseconds),
        time: spread(ratios(changed.milliseconds, usual.milliseconds)),
        processorTime: spread(ratios(changed.processorSeconds, usual.processorSeconds)),
        sameBits: changed.losses.every((loss, i) => loss === usual.losses[i]),
      });
    }
    return { preset, tokensPerStep: TOKENS_PER_STEP, comparisons };
  } finally {
    file.remove();
  }
}

/** Of each process; times without the steps of warm-up. */
async function stepsInTurn(workers: readonly MeasuredProcess[], { rounds, warmup }: PairOptions) {
  for (const worker of workers) await worker.ready();
  const measured = workers.map(() => ({
    milliseconds: [] as number[],
    processorSeconds: [] as number[],
    losses: [] as number[],
  }));
  for (let round = 0; round < warmup + rounds; round++) {
    for (const turn of turns(workers.length, round)) {
      const before = workers[turn].processorSeconds();
      const { milliseconds, loss } = await workers[turn].ask<StepReply>("step");
      await settle();
      measured[turn].losses.push(loss);
      if (round < warmup) continue;
      measured[turn].milliseconds.push(milliseconds);
      measured[turn].processorSeconds.push(workers[turn].processorSeconds() - before);
    }
  }
  return measured;
}
