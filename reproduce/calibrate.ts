/** The measurements that estimates are made from: each architecture takes a few real steps at two contexts. */
import type { ArchitectureName } from "longhand";
import type { Recompute } from "longhand/graph";
import type { CalibrationPoint } from "./costs.ts";
import { batchOf } from "./jobs.ts";
import { MeasuredProcess } from "./measured-process.ts";
import { FIRST_MODELS, modelConfig } from "./models.ts";
import type { ReproduceSettings } from "./settings.ts";
import type { WorkerSetup } from "./worker-setup.ts";

const TIMED_STEPS = 2;
const LONG_CONTEXT = 4096;
/** Minutes from which the farther context is twice as far, which makes better estimates and takes longer. */
const LONG_BUDGET = 40;

/** The two contexts; the tokens of a step are those of the second. */
export function calibrationContexts({
  contexts,
  qualityContexts,
  budget,
}: ReproduceSettings): [near: number, far: number] {
  const all = [...contexts, ...(qualityContexts ?? [])];
  const near = Math.min(...all);
  const far = Math.min(budget >= LONG_BUDGET ? 4096 : 2048, Math.max(...all));
  return far > near ? [near, far] : [near, 2 * near];
}

export interface CalibrationOptions {
  readonly note: (text: string) => void;
  readonly stopRequested: () => boolean;
}

/** Undefined when a stop was asked for. */
export async function calibrate(
  settings: ReproduceSettings,
  { note, stopRequested }: CalibrationOptions,
): Promise<CalibrationPoint[] | undefined> {
  const points: CalibrationPoint[] = [];
  const [near, far] = calibrationContexts(settings);
  for (const [model, recompute] of calibrated(settings)) {
    for (const context of [near, far]) {
      if (stopRequested()) return undefined;
      note(`calibration: ${model} at context ${context}${recompute === "none" ? "" : " with recomputation"}`);
      const { vocab: vocabSize, preset, threads, device, seed } = settings;
      const setup: WorkerSetup = {
        model: modelConfig({ model, preset, context, vocabSize, objective: "causal" }),
        ...{ batch: batchOf(far, context), context, threads, device, seed, objective: "causal", recompute },
        ...speedSchedule(TIMED_STEPS + 1),
      };
      points.push(await calibrationPoint(model, setup));
    }
  }
  return points;
}

/** Every model, and the first two with recomputation where contexts are long enough for it to be of use. */
function calibrated({
  models,
  contexts,
  qualityContexts = [8192],
}: ReproduceSettings): [ArchitectureName, Recompute][] {
  const long = Math.max(...contexts, ...qualityContexts) >= LONG_CONTEXT;
  const again = FIRST_MODELS.filter((model) => long && models.includes(model));
  return [...models.map((model) => [model, "none"] as const), ...again.map((model) => [model, "layers"] as const)].map(
    ([model, recompute]) => [model, recompute],
  );
}

/** A constant rate: what the optimiser costs does not depend on it. */
export function speedSchedule(steps: number): Pick<WorkerSetup, "steps" | "schedule"> {
  return { steps, schedule: { peak: 1e-3, warmup: 0, decay: "constant", floor: 0 } };
}

async function calibrationPoint(model: string, setup: WorkerSetup): Promise<CalibrationPoint> {
  const started = performance.now();
  const process = await MeasuredProcess.start(`${model} at context ${setup.context}`, setup);
  try {
    const startSeconds = (performance.now() - started) / 1000;
    await process.step();
    const times: number[] = [];
    for (let i = 0; i < TIMED_STEPS; i++) times.push((await process.step()).milliseconds);
    const { context, batch } = setup;
    const { baseBytes } = process.hello;
    const peakBytes = await process.peakBytes();
    const { recompute } = setup;
    return {
      model,
      recompute,
      context,
      tokens: batch * context,
      milliseconds: Math.min(...times),
      peakBytes,
      baseBytes,
      startSeconds,
    };
  } finally {
    await process.stop();
  }
}
