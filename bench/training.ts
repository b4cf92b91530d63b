/**
 * Training speed: one fixed model, a full step (forward, backward, clipping, AdamW), in turn with the same step in
 * PyTorch as a user runs it and in PyTorch with huge pages. Ratios are taken round by round, then the median.
 */
import { type Interleaved, interleave, type MeasuredProcess, settle, withProcesses } from "../reproduce/process.ts";
import { median, type Spread, spread } from "../reproduce/statistics.ts";
import type { GatedModelConfig } from "../src/models/config.ts";
import { optimizerShare, type PytorchSide, pytorchSide, speed } from "./comparison.ts";
import { checkLosses } from "./first-losses.ts";
import { type ModelFlops, modelFlops } from "./flops.ts";
import { longhandWorker, threads } from "./longhand.ts";
import type { ProductTiming } from "./matmuls.ts";
import { type PytorchReady, pytorchHandicap, pytorchMissing, pytorchWorker } from "./pytorch.ts";
import { type Setup, trainingSetup, writeSetup } from "./setup.ts";

export interface ProductRate {
  /** Shapes of the operands. */
  readonly a: readonly number[];
  readonly b: readonly number[];
  readonly perStep: number;
  readonly gflops: number;
}

export interface TrainingReport {
  readonly model: GatedModelConfig;
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

export interface PytorchReport extends PytorchReady {
  readonly asUserRunsIt: PytorchSide;
  readonly hugePages: PytorchSide;
  /** Largest relative difference of the first losses from Longhand's. */
  readonly lossDifference: number;
}

interface TrainingOptions {
  readonly rounds: number;
  readonly warmup: number;
  readonly pytorch: boolean;
  readonly note: (text: string) => void;
}

export async function benchTraining(options: TrainingOptions): Promise<TrainingReport> {
  const setup = trainingSetup();
  const flops = modelFlops(setup);
  const file = writeSetup(setup);
  try {
    const missing = options.pytorch ? await pytorchMissing() : "--no-pytorch was given";
    const others = missing ? [] : [false, true].map((hugePages) => pytorchWorker(file.path, { hugePages }));
    return await withProcesses([longhandWorker("Longhand", file.path), ...others], async ([longhand, ...opponents]) => {
      await longhand.ready();
      const ready = await Promise.all(opponents.map((worker) => worker.ready<PytorchReady>()));
      const handicap = ready.length > 0 ? pytorchHandicap(ready[0]) : undefined;
      const measured = handicap ? [longhand] : [longhand, ...opponents];
      const reason = missing ?? handicap ?? null;
      return await measure(measured, { setup, flops, ready: reason ? undefined : ready[0], reason, options });
    });
  } finally {
    file.remove();
  }
}

interface Context {
  readonly setup: Setup<GatedModelConfig>;
  readonly flops: ModelFlops;
  readonly ready: PytorchReady | undefined;
  readonly reason: string | null;
  readonly options: TrainingOptions;
}

async function measure(workers: readonly MeasuredProcess[], context: Context): Promise<TrainingReport> {
  const { options } = context;
  const [longhand] = workers;
  options.note(`training: ${workers.map((w) => w.name).join(", ")}; ${options.warmup} steps of warm-up`);
  const first = await interleave(workers, options.warmup);
  const lossDifference = checkLosses("training", first.replies);
  const peaks: number[] = [];
  for (const worker of workers) peaks.push(await worker.peakBytes());

  const timings: ProductTiming[][] = [];
  const timeProducts = async () => {
    await settle();
    timings.push((await longhand.ask<{ timings: ProductTiming[] }>("products")).timings);
  };
  await timeProducts();
  timings.length = 0; // that was its warm-up
  const run = await interleave(workers, options.rounds, async (round) => {
    await timeProducts();
    options.note(`training: round ${round + 1} of ${options.rounds}`);
  });
  return report({ context, run, timings, peaks, lossDifference });
}

interface Measured {
  readonly context: Context;
  readonly run: Interleaved;
  readonly timings: readonly (readonly ProductTiming[])[];
  readonly peaks: readonly number[];
  readonly lossDifference: number;
}

function report({ context, run, timings, peaks, lossDifference }: Measured): TrainingReport {
  const { setup, flops, ready, reason } = context;
  const [own, ...others] = run.replies;
  const tokens = setup.batch * setup.context;
  const times = own.map((reply) => reply.milliseconds);
  const modelGflops = spread(times.map((ms) => flops.step / ms / 1e6));
  const products = productRates(timings, median(times));
  const side = (i: number) => pytorchSide({ own, others: others[i], tokens, peakBytes: [peaks[0], peaks[i + 1]] });
  const { forward, step, executed } = flops;
  return {
    model: setup.model,
    batch: setup.batch,
    context: setup.context,
    threads: threads(),
    stepMilliseconds: spread(times),
    tokensPerSecond: speed(own, tokens),
    modelGflops,
    passGflops: spread(own.map(({ phases }) => flops.step / phases.graph / 1e6)),
    optimizerShare: optimizerShare(own),
    flops: { forward, step, executed },
    products,
    matmulShare: modelGflops.median / products.best.gflops,
    matmulShareWeighted: modelGflops.median / products.weightedGflops,
    peakBytes: peaks[0],
    pytorch: ready ? { ...ready, asUserRunsIt: side(0), hugePages: side(1), lossDifference } : null,
    pytorchReason: reason,
    idleShare: run.idleShare,
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
