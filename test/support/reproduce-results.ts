/** Results of a made-up comparison with round numbers, for tests of the report: what it must say can be computed by hand. */

import type { SpeedJob, TrainJob } from "../../reproduce/jobs.ts";
import type { Identity } from "../../reproduce/machine.ts";
import { type Manifest, manifestMark } from "../../reproduce/manifest.ts";
import { modelConfig } from "../../reproduce/models.ts";
import { recallTaskNames } from "../../reproduce/recall-windows.ts";
import type { PositionSum, Result, SpeedResult, TrainResult } from "../../reproduce/results.ts";
import { resolveSettings } from "../../reproduce/settings.ts";
import { ablationNames } from "../../src/models/ablations.ts";
import { type ArchitectureName, architectureNames } from "../../src/models/registry.ts";

export const identity: Identity = {
  cpu: "Test processor",
  cores: 2,
  memoryGiB: 24,
  system: "linux 6.1 x64",
  node: "v20.20.2",
  onnxruntime: "1.30.0",
  longhand: "0.1.0",
  hugePages: "madvise, on",
  threads: 2,
  device: "cpu",
};

const mark = {
  format: "longhand-reproduce-result",
  version: 1,
  identity,
  finished: "2026-01-01T00:00:00.000Z",
} as const;
const quadratic = ["flash-quad", "transformer", "transformer+", "transformer++"];
const config = (model: ArchitectureName, context: number, ablation: string | null = null) =>
  modelConfig({ model, ablation, preset: "tiny", context, vocabSize: 4096, objective: "causal" });

/** Microseconds a token: 200 and 0.1 for each token of context where attention is quadratic, else 250. */
const time = (model: string, context: number) =>
  (quadratic.includes(model) ? 200 + 0.1 * context : 250) * (1 + model.length / 100);

export function speedResult(context: number, models: readonly ArchitectureName[] = architectureNames()): SpeedResult {
  const tokens = Math.max(8192, context);
  const batch = tokens / context;
  const none = { recompute: "none", recomputeReason: null } as const;
  const job: SpeedJob = {
    ...{
      kind: "speed",
      id: `speed/context-${context}`,
      series: "contexts",
      together: true,
      warmup: 2,
      rounds: 3,
      perStart: 1,
    },
    sides: models.map((model) => ({ model, context, batch, ...none })),
  };
  const sides = models.map((model) => {
    const ms = [1, 1.02, 1.1].map((noise) => (noise * tokens * time(model, context)) / 1000);
    const fits = !(quadratic.includes(model) && context > 16_384);
    return {
      ...{ model, config: config(model, context), context, batch, tokens, parameters: 3_500_000, flopsPerToken: 3e7 },
      ...none,
      ...{ warmupMs: [ms[0] * 2, ms[0]], ms: fits ? ms : [], graphMs: ms, optimizerMs: ms.map((own) => own / 50) },
      peakBytes: fits ? 1e9 + tokens * (quadratic.includes(model) ? 150 * context : 200_000) : null,
      failure: fits
        ? null
        : "does not fit into memory, with recomputation neither: it was stopped when 1.4 GB of 24.0 GB were left",
    };
  });
  return { ...mark, seconds: 100, job, sides, idleShare: 0.01 };
}

export function flatResult(): SpeedResult {
  const contexts = [512, 2048, 8192, 32_768, 65_536];
  const wide = contexts.map((context) => {
    const side = speedResult(context, ["flash"]).sides[0];
    const ms = [16_000, 16_160, 16_080].map((own) => own * (1 + context / 4e6));
    return {
      ...side,
      batch: 65_536 / context,
      tokens: 65_536,
      ms,
      graphMs: ms,
      optimizerMs: ms.map((own) => own / 50),
      peakBytes: 13e9 + context * 1000,
    };
  });
  const sides = wide.map(
    ({ context, batch }) => ({ model: "flash", context, batch, recompute: "none", recomputeReason: null }) as const,
  );
  const job: SpeedJob = {
    kind: "speed",
    id: "speed/flat-65536",
    series: "flat",
    sides,
    together: false,
    warmup: 1,
    rounds: 2,
    perStart: 2,
  };
  return { ...mark, seconds: 300, job, sides: wide, idleShare: null };
}

export interface MadeTraining {
  readonly model: ArchitectureName;
  readonly context: number;
  readonly objective?: "causal" | "masked";
  readonly ablation?: string;
  readonly lr?: number;
  /** Loss after step s of 80: end + 3 / (1 + s / 10) . */
  readonly end: number;
  readonly stepMs: number;
  /** Another than that of the settings. */
  readonly seed?: number;
}

export function trainResult({
  model,
  context,
  objective = "causal",
  ablation,
  lr = 2e-3,
  end,
  stepMs,
  seed,
}: MadeTraining): TrainResult {
  const steps = 80;
  const name = ablation ?? model.replaceAll("+", "p");
  const which = seed === undefined ? `lr-${lr}` : `seed-${seed}`;
  const id = ablation === undefined ? `quality/${objective}-${context}-${name}-${which}` : `ablations/${name}`;
  const job: TrainJob = {
    ...{ kind: "train", id, section: ablation === undefined ? "quality" : "ablations", model },
    ...{ ablation: ablation === "flash" || ablation === undefined ? null : ablation, objective, context },
    ...{ batch: Math.max(1, 4096 / context), steps, lr, recompute: "none", recomputeReason: null, evalEvery: 10 },
    ...(seed !== undefined && { seed }),
  };
  const loss = (step: number) => end + 3 / (1 + step / 10);
  const curve = [10, 20, 30, 40, 50, 60, 70, 80].map((step) => ({
    ...{ step, seconds: (step * stepMs) / 1000, loss: loss(step), tokens: 16_384 },
  }));
  const byPosition = positionsOf(context, (i) => loss(steps) + 1 / (i + 1));
  return {
    ...mark,
    ...{
      seconds: 120,
      job,
      config: config(model, context, job.ablation),
      parameters: 3_500_000,
      flopsPerToken: 3e7,
      lr,
    },
    ...{
      warmup: 8,
      seed: seed ?? 1,
      recompute: "none",
      recomputeReason: null,
      stepMs: Array.from({ length: steps }, () => stepMs),
    },
    ...{ losses: Array.from({ length: steps }, (_, i) => loss(i + 1)), peakBytes: 2e9, curve },
    final: { loss: loss(steps) + 0.01, tokens: 65_536, accuracy: objective === "masked" ? 0.25 : null, byPosition },
    failure: null,
  };
}

/** Ranges that double up to `window`, eight windows; `loss` of range number i. */
export function positionsOf(window: number, loss: (i: number) => number): PositionSum[] {
  const edges = [0, ...Array.from({ length: Math.log2(window) - 3 }, (_, i) => 2 ** (i + 4))];
  return edges.slice(0, -1).map((from, i) => {
    const tokens = 8 * (edges[i + 1] - from);
    return { from, to: edges[i + 1], tokens, nats: tokens * loss(i) };
  });
}

/** The same training, whose model has read windows beyond its context: a loss of 4 + window / 8192 in all of each. */
export function readingFarther(result: TrainResult, most: number): TrainResult {
  const windows = [4, 16, 64].map((times) => times * result.job.context);
  const beyond = windows.map((window) =>
    window <= most
      ? { window, byPosition: positionsOf(window, () => 4 + window / 8192), leftOut: null }
      : { window, byPosition: [], leftOut: "it needs about 30.0 GB and there are 21.0 GB" },
  );
  return { ...result, job: { ...result.job, windows }, beyond };
}

/**
 * A training of the section recall: at distance n, `reach` or less, all answers are right; beyond it one of four. A
 * second seed gets a name right once more.
 */
export function recallResult(model: ArchitectureName, seed: number, reach: number, ablation?: string): TrainResult {
  const context = 256;
  const distances = [16, 64, 256, 1024, 4096, 16_384].filter(
    (distance) => model !== "transformer++" || distance < 4096,
  );
  const form = ablation === undefined ? {} : { ablation };
  const base = trainResult({ model, context, ...form, end: 1, stepMs: 30 });
  const answers = (distance: number) =>
    recallTaskNames.map((task) => ({
      ...{ task, asked: 16 },
      correct: distance <= reach ? 16 : 4 + (task === "name" ? seed - 1 : 0),
    }));
  const name = `${model.replaceAll("+", "p")}${ablation === undefined ? "" : `-${ablation}`}-seed-${seed}`;
  return {
    ...{ ...base, seed },
    job: { ...base.job, id: `recall/${name}`, section: "recall", batch: 4, recall: { seed, distances } },
    recall: distances.map((distance) => ({ distance, answers: answers(distance), leftOut: null })),
  };
}

/** The same training at another rate, which does worse. */
function worseRate({ job, final, ...result }: TrainResult): TrainResult {
  const worse = final && { ...final, loss: final.loss + 1 };
  return { ...result, job: { ...job, id: `${job.id}-lr-0.008` }, lr: 0.008, final: worse };
}

/** All sections, as a run with a large budget leaves them. */
export function madeResults(): Result[] {
  const pair = (context: number, times: [number, number], objective: "causal" | "masked" = "causal") => [
    trainResult({ model: "flash", context, objective, end: 3.9, stepMs: times[0] }),
    trainResult({ model: "transformer++", context, objective, end: 4, stepMs: times[1] }),
  ];
  const others = architectureNames().filter((name) => name !== "flash" && name !== "transformer++");
  return [
    ...[512, 1024, 2048, 4096, 8192, 16_384].map((context) => speedResult(context)),
    speedResult(32_768, ["flash", "transformer++"]),
    flatResult(),
    ...[1e-3, 4e-3].flatMap((lr) => [
      trainResult({ model: "flash", context: 512, lr, end: 4.1, stepMs: 1000 }),
      trainResult({ model: "transformer++", context: 512, lr, end: 4.15, stepMs: 900 }),
    ]),
    ...pair(512, [1000, 900]).map((result, i) => readingFarther(result, i === 0 ? 32_768 : 2048)),
    ...others.map((model, i) => trainResult({ model, context: 512, end: 4.05 + i / 20, stepMs: 1000 })),
    ...pair(8192, [2000, 8000]),
    ...pair(512, [1000, 900], "masked"),
    trainResult({ model: "flash", context: 1024, ablation: "flash", end: 3.9, stepMs: 1000 }),
    ...ablationNames.map((ablation, i) =>
      trainResult({ model: "flash", context: 1024, ablation, end: 3.92 + i / 50, stepMs: 990 }),
    ),
    worseRate(recallResult("flash", 1, 16)),
    ...[1, 2].flatMap((seed) => [
      recallResult("flash", seed, 1024),
      recallResult("transformer++", seed, 256),
      recallResult("flash", seed, 16, "local"),
    ]),
  ];
}

export function manifestOf(results: readonly Result[]): Manifest {
  const jobs = results.map(({ job, seconds }) => ({ job, seconds }));
  return {
    ...manifestMark,
    created: "2026-01-01T00:00:00.000Z",
    settings: resolveSettings({
      data: "/texts/diary.txt,/texts/plays.txt",
      out: "/runs/made",
      budget: 75,
      preset: "tiny",
    }),
    identity,
    calibration: [],
    plan: {
      jobs,
      leftOut: [{ what: "ablation chunk-1024", why: "the budget does not allow it" }],
      prepareSeconds: 60,
      seconds: 4000,
    },
  };
}
