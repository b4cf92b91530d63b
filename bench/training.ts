/**
 * Training speed: one fixed model, a full step (forward, backward, clipping, AdamW), in turn with the same step in
 * PyTorch as a user runs it and in PyTorch with huge pages. Ratios are taken round by round, then the median.
 */
import { type MeasuredProcess, settle } from "../reproduce/process.ts";
import { median, type Spread, spread } from "../reproduce/statistics.ts";
import type { GatedConfig } from "../src/models/architectures/gated-unit-fields.ts";
import { measureBesidePytorch, optimizerShare, type PytorchReport, speed, times } from "./beside-pytorch.ts";
import { modelFlops } from "./flops.ts";
import { threads } from "./longhand.ts";
import type { ProductTiming } from "./matmuls.ts";
import { pytorchMissing } from "./pytorch.ts";
import { trainingSetup } from "./setup.ts";

export interface ProductRate {
  /** Shapes of the operands. */
  readonly a: readonly number[];
  readonly b: readonly number[];
  readonly perStep: number;
  readonly gflops: number;
}

export interface TrainingReport {
  readonly model: GatedConfig;
  readonly batch: number;
  readonly context: number;
  readonly threads: number;
  readonly stepMilliseconds: Spread;
  readonly tokensPerSecond: Spread;
  /** Arithmetic of the model over the time of a whole step. */
  readonly modelGflops: Spread;
  /** The same over forward and backward alone. */
  readonly passGflops: Spread;
  readonly optimizerShare: Spread;
  readonly flops: { readonly forward: number; readonly step: number; readonly executed: number };
  readonly products: {
    readonly best: ProductRate;
    /** Rate over all products of a step, each as often as the step has it. */
    readonly weightedGflops: number;
    /** Time of those products alone over the time of a step. */
    readonly shareOfStep: number;
    readonly shapes: readonly ProductRate[];
  };
  /** modelGflops over the best shape's rate; `weighted` over the rate of all shapes. */
  readonly matmulShare: number;
  readonly matmulShareWeighted: number;
  /** After warm-up, before the plain products are timed. */
  readonly peakBytes: number;
  readonly pytorch: PytorchReport | null;
  /** Why `pytorch` is null. */
  readonly pytorchReason: string | null;
  /** Largest share of one core that the waiting processes used during a step. */
  readonly idleShare: number | null;
}

interface TrainingOptions {
  readonly rounds: number;
  readonly warmup: number;
  readonly pytorch: boolean;
  readonly note: (text: string) => void;
}

export async function benchTraining({ rounds, warmup, pytorch, note }: TrainingOptions): Promise<TrainingReport> {
  const setup = trainingSetup();
  const { forward, step, executed } = modelFlops(setup);
  const pytorchReason = pytorch ? ((await pytorchMissing()) ?? null) : "--no-pytorch was given";
  const timings: ProductTiming[][] = [];
  const alongside = async (longhand: MeasuredProcess) => {
    await settle();
    timings.push((await longhand.ask<{ timings: ProductTiming[] }>("products")).timings);
  };
  const about = { name: "training", setup, rounds, warmup, pytorchReason, note, alongside };
  const { own, ...beside } = await measureBesidePytorch(about);
  const modelGflops = spread(times(own).map((ms) => step / ms / 1e6));
  const products = productRates(timings.slice(1), median(times(own)));
  const { model, batch, context } = setup;
  return {
    ...{ model, batch, context, threads: threads() },
    stepMilliseconds: spread(times(own)),
    tokensPerSecond: speed(own, setup),
    modelGflops,
    passGflops: spread(own.map(({ phases }) => step / phases.graph / 1e6)),
    optimizerShare: optimizerShare(own),
    flops: { forward, step, executed },
    products,
    matmulShare: modelGflops.median / products.best.gflops,
    matmulShareWeighted: modelGflops.median / products.weightedGflops,
    ...beside,
  };
}

function productRates(
  rounds: readonly (readonly ProductTiming[])[],
  stepMilliseconds: number,
): TrainingReport["products"] {
  const times = rounds[0].map((_, i) => median(rounds.map((timings) => timings[i].milliseconds)));
  const shapes = rounds[0].map(({ a, b, count, flops }, i) => ({
    a,
    b,
    perStep: count,
    gflops: flops / times[i] / 1e6,
  }));
  const flops = rounds[0].reduce((sum, product) => sum + product.flops * product.count, 0);
  const together = rounds[0].reduce((sum, { count }, i) => sum + times[i] * count, 0);
  return {
    best: shapes.reduce((best, shape) => (shape.gflops > best.gflops ? shape : best)),
    weightedGflops: flops / together / 1e6,
    shareOfStep: together / stepMilliseconds,
    shapes,
  };
}
