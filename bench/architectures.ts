/**
 * Every architecture beside the same network in PyTorch, at one size and several contexts, always with the same number
 * of tokens a step: full training steps, in turn with PyTorch as a user runs it and with huge pages. Whatever is compared
 * between architectures is then compared between implementations that are no strawmen.
 */
import { interleave, withProcesses } from "../reproduce/process.ts";
import { type Spread, spread } from "../reproduce/statistics.ts";
import type { ArchitectureName } from "../src/models/config.ts";
import { parameterCount } from "../src/models/language-model.ts";
import type { PresetName } from "../src/models/presets.ts";
import { type PytorchSide, pytorchSide, speed, times } from "./comparison.ts";
import { checkLosses } from "./first-losses.ts";
import { longhandWorker, threads } from "./longhand.ts";
import { type PytorchReady, pytorchHandicap, pytorchMissing, pytorchWorker } from "./pytorch.ts";
import { architectureSetup, writeSetup } from "./setup.ts";

export interface ArchitectureResult {
  readonly architecture: ArchitectureName;
  readonly context: number;
  readonly batch: number;
  readonly parameters: number;
  readonly stepMilliseconds: Spread;
  readonly tokensPerSecond: Spread;
  readonly peakBytes: number;
  readonly pytorch: {
    readonly asUserRunsIt: PytorchSide;
    readonly hugePages: PytorchSide;
    /** Largest relative difference of the first losses from Longhand's. */
    readonly lossDifference: number;
  } | null;
  /** Largest share of one core that the waiting processes used during a step. */
  readonly idleShare: number | null;
}

export interface ArchitecturesReport {
  readonly preset: PresetName;
  readonly tokensPerStep: number;
  readonly threads: number;
  readonly pytorch: PytorchReady | null;
  /** Why `pytorch` is null. */
  readonly pytorchReason: string | null;
  readonly results: readonly ArchitectureResult[];
}

/** A context divides it. */
export const TOKENS_PER_STEP = 8192;

export interface ArchitecturesOptions {
  readonly preset: PresetName;
  readonly contexts: readonly number[];
  readonly architectures: readonly ArchitectureName[];
  readonly rounds: number;
  readonly warmup: number;
  readonly pytorch: boolean;
  readonly note: (text: string) => void;
}

export async function benchArchitectures(options: ArchitecturesOptions): Promise<ArchitecturesReport> {
  const { preset, contexts, architectures } = options;
  let reason = options.pytorch ? ((await pytorchMissing()) ?? null) : "--no-pytorch was given";
  let pytorch: PytorchReady | null = null;
  const results: ArchitectureResult[] = [];
  for (const context of contexts) {
    for (const architecture of architectures) {
      const measured = await measure({ architecture, context }, { ...options, pytorch: reason === null });
      results.push(measured.result);
      pytorch ??= measured.ready;
      reason ??= measured.handicap;
    }
  }
  const shared = { preset, tokensPerStep: TOKENS_PER_STEP, threads: threads() };
  return { ...shared, pytorch, pytorchReason: reason, results };
}

interface MeasuredArchitecture {
  readonly result: ArchitectureResult;
  readonly ready: PytorchReady | null;
  /** Why PyTorch was left out. */
  readonly handicap: string | null;
}

async function measure(
  { architecture, context }: { architecture: ArchitectureName; context: number },
  { preset, rounds, warmup, pytorch, note }: ArchitecturesOptions,
): Promise<MeasuredArchitecture> {
  const setup = architectureSetup(architecture, { preset, context, tokensPerStep: TOKENS_PER_STEP });
  const file = writeSetup(setup);
  try {
    const others = pytorch ? [false, true].map((hugePages) => pytorchWorker(file.path, { hugePages })) : [];
    return await withProcesses([longhandWorker("Longhand", file.path), ...others], async ([longhand, ...opponents]) => {
      await longhand.ready();
      const hellos = await Promise.all(opponents.map((worker) => worker.ready<PytorchReady>()));
      const handicap = hellos.length > 0 ? (pytorchHandicap(hellos[0]) ?? null) : null;
      const workers = handicap === null ? [longhand, ...opponents] : [longhand];

      const name = `${architecture} at context ${context}`;
      note(`${name}: ${warmup} steps of warm-up`);
      const lossDifference = checkLosses(name, (await interleave(workers, warmup)).replies);
      const peaks: number[] = [];
      for (const worker of workers) peaks.push(await worker.peakBytes());
      note(`${name}: ${rounds} rounds`);
      const run = await interleave(workers, rounds);
      const [own, ...replies] = run.replies;
      const side = (i: number) =>
        pytorchSide({ own, others: replies[i], tokens: TOKENS_PER_STEP, peakBytes: [peaks[0], peaks[i + 1]] });
      const result: ArchitectureResult = {
        architecture,
        context,
        batch: setup.batch,
        parameters: parameterCount(setup.model),
        stepMilliseconds: spread(times(own)),
        tokensPerSecond: speed(own, TOKENS_PER_STEP),
        peakBytes: peaks[0],
        pytorch: workers.length > 1 ? { asUserRunsIt: side(0), hugePages: side(1), lossDifference } : null,
        idleShare: run.idleShare,
      };
      return { result, ready: workers.length > 1 ? hellos[0] : null, handicap };
    });
  } finally {
    file.remove();
  }
}
