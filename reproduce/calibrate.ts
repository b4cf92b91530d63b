/** The measurements that estimates are made from: each architecture takes a few real steps at two contexts. */
import { FIRST_MODELS } from "./architectures.ts";
import type { CalibrationPoint } from "./costs.ts";
import { batchOf, type SpeedSide } from "./jobs.ts";
import { modelConfig, trainingOf } from "./models.ts";
import type { ReproduceSettings } from "./settings.ts";
import { startWorker, type WorkerSetup, type WorkerStep } from "./worker-setup.ts";

const TIMED_STEPS = 2;
const LONG_CONTEXT = 4096;
/** Minutes from which the farther context is twice as far, which makes better estimates and takes longer. */
const LONG_BUDGET = 40;

/** The two contexts; the tokens of a step are those of the second. */
function calibrationContexts({ contexts, qualityContexts, budget }: ReproduceSettings): [near: number, far: number] {
  const all = [...contexts, ...(qualityContexts ?? [])];
  const near = Math.min(...all);
  const far = Math.min(budget >= LONG_BUDGET ? 4096 : 2048, Math.max(...all));
  return far > near ? [near, far] : [near, 2 * near];
}

/** Undefined when a stop was requested. */
export async function calibrate(
  settings: ReproduceSettings,
  { note, stopRequested }: { readonly note: (text: string) => void; readonly stopRequested: () => boolean },
): Promise<CalibrationPoint[] | undefined> {
  const points: CalibrationPoint[] = [];
  const [near, far] = calibrationContexts(settings);
  for (const [model, recompute] of calibrated(settings)) {
    for (const context of [near, far]) {
      if (stopRequested()) return undefined;
      note(`calibration: ${model} at context ${context}${recompute === "none" ? "" : " with recomputation"}`);
      points.push(await calibrationPoint(settings, { model, context, batch: batchOf(far, context), recompute }));
    }
  }
  return points;
}

/** Every model, and the first two with recomputation where contexts are long enough for it to be of use. */
function calibrated({ models, contexts, qualityContexts = [8192] }: ReproduceSettings) {
  const long = Math.max(...contexts, ...qualityContexts) >= LONG_CONTEXT;
  const again = FIRST_MODELS.filter((model) => long && models.includes(model));
  return [...models.map((model) => [model, "none"] as const), ...again.map((model) => [model, "layers"] as const)];
}

/**
 * The setup of a process whose speed is measured. The rate is constant: what the optimiser costs does not depend on it.
 */
export function speedSetup(
  { vocab: vocabSize, preset, threads, device, seed, modules, optimizer }: ReproduceSettings,
  { model, context, batch, recompute }: Omit<SpeedSide, "recomputeReason">,
): WorkerSetup {
  const endless = { steps: ENDLESS, evalEvery: ENDLESS, saveEvery: ENDLESS };
  const rate = { lr: 1e-3, warmup: 0, schedule: "constant" } as const;
  return {
    model: modelConfig({ model, preset, context, vocabSize, objective: "causal" }),
    training: { ...trainingOf({ context, batch, recompute, seed, optimizer, ...endless, ...rate }), maxSkips: ENDLESS },
    engine: { device, threads },
    modules,
  };
}

const ENDLESS = 1e9;

async function calibrationPoint(
  settings: ReproduceSettings,
  side: Omit<SpeedSide, "recomputeReason">,
): Promise<CalibrationPoint> {
  const { model, context, batch, recompute } = side;
  const started = performance.now();
  const worker = await startWorker(`${model} at context ${context}`, speedSetup(settings, side));
  try {
    const startSeconds = (performance.now() - started) / 1000;
    const { baseBytes } = worker.hello;
    await worker.ask("step");
    const times: number[] = [];
    for (let i = 0; i < TIMED_STEPS; i++) times.push((await worker.ask<WorkerStep>("step")).milliseconds);
    const [milliseconds, peakBytes] = [Math.min(...times), await worker.peakBytes()];
    return { model, recompute, context, tokens: batch * context, milliseconds, peakBytes, baseBytes, startSeconds };
  } finally {
    await worker.stop();
  }
}
