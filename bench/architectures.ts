/**
 * Every architecture beside the same network in PyTorch, at one size and several contexts, always with the same number
 * of tokens a step: full training steps, in turn with PyTorch as a user runs it and with huge pages. Whatever is
 * compared between architectures is then compared between implementations that are no strawmen.
 */
import { type Spread, spread } from "../reproduce/statistics.ts";
import { parameterCount } from "../src/models/language-model.ts";
import type { PresetName } from "../src/models/presets.ts";
import type { ArchitectureName } from "../src/models/registry.ts";
import { measureBesidePytorch, type PytorchReport, speed, times } from "./beside-pytorch.ts";
import { threads } from "./longhand.ts";
import { type PytorchReady, pytorchMissing } from "./pytorch.ts";
import { architectureSetup } from "./setup.ts";

export interface ArchitectureResult {
  readonly architecture: ArchitectureName;
  readonly context: number;
  readonly batch: number;
  readonly parameters: number;
  readonly stepMilliseconds: Spread;
  readonly tokensPerSecond: Spread;
  readonly peakBytes: number;
  readonly pytorch: PytorchReport | null;
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
  const { preset, contexts, architectures, rounds, warmup, note } = options;
  let pytorchReason = options.pytorch ? ((await pytorchMissing()) ?? null) : "--no-pytorch was given";
  let ready: PytorchReady | null = null;
  const results: ArchitectureResult[] = [];
  for (const context of contexts) {
    for (const architecture of architectures) {
      const setup = architectureSetup(architecture, { preset, context, tokensPerStep: TOKENS_PER_STEP });
      const name = `${architecture} at context ${context}`;
      const measured = await measureBesidePytorch({ name, setup, rounds, warmup, pytorchReason, note });
      pytorchReason = measured.pytorchReason;
      const { own, peakBytes, pytorch, idleShare } = measured;
      if (pytorch) ready ??= { torch: pytorch.torch, threads: pytorch.threads, blas: pytorch.blas };
      results.push({
        ...{ architecture, context, batch: setup.batch, parameters: parameterCount(setup.model) },
        stepMilliseconds: spread(times(own)),
        tokensPerSecond: speed(own, setup),
        ...{ peakBytes, pytorch, idleShare },
      });
    }
  }
  return { preset, tokensPerStep: TOKENS_PER_STEP, threads: threads(), pytorch: ready, pytorchReason, results };
}
