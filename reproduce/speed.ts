/**
 * Runs a speed measurement: every model in a process of its own, one step at a time, each round beginning with another
 * one, so that other load on the machine affects all equally. A model that does not fit into memory is tried again with
 * recomputation of activations; one that still does not is left out with the reason.
 */
import { forwardFlops } from "longhand/models";
import { speedSetup } from "./calibrate.ts";
import type { SpeedJob, SpeedSide } from "./jobs.ts";
import { IdleWatch, NotEnoughMemory, settle, turns } from "./process.ts";
import type { SpeedResult, SpeedSideResult } from "./results.ts";
import type { ReproduceSettings } from "./settings.ts";
import { startWorker, type Worker, type WorkerStep } from "./worker-setup.ts";

export interface RunContext {
  readonly settings: ReproduceSettings;
  /** Folder of the comparison. */
  readonly folder: string;
  /** Told what is going on, and the share of the job that is done, 0 … 1. */
  readonly onProgress: (text: string, done: number) => void;
  readonly onWarning: (message: string) => void;
  readonly stopRequested: () => boolean;
}

type SpeedMeasurement = Pick<SpeedResult, "sides" | "idleShare">;

/** Undefined when a stop was requested: what was timed until then is dropped. */
export async function measureSpeed(job: SpeedJob, context: RunContext): Promise<SpeedMeasurement | undefined> {
  const sides = job.sides.map((side) => sideOf(side, context.settings));
  const watch = new IdleWatch();
  try {
    const finished = job.together ? await sideBySide(job, sides, context, watch) : await oneByOne(job, sides, context);
    return finished ? { sides: sides.map((side) => side.result()), idleShare: watch.share } : undefined;
  } finally {
    for (const side of sides) await side.stop();
  }
}

/** One model of a measurement: its process, while it has one, and its times. */
type Side = ReturnType<typeof sideOf>;

function sideOf(side: SpeedSide, settings: ReproduceSettings) {
  const { model, context, batch } = side;
  const { model: config } = speedSetup(settings, side);
  const name = `${model} at context ${context}`;
  const times = { warmupMs: [] as number[], ms: [] as number[], graphMs: [] as number[], optimizerMs: [] as number[] };
  const found = {
    parameters: null as number | null,
    peakBytes: null as number | null,
    failure: null as string | null,
    recompute: side.recompute,
    recomputeReason: side.recomputeReason,
  };
  let worker: Worker | undefined;

  async function stop(): Promise<void> {
    await worker?.stop();
    worker = undefined;
  }

  /** Gives work its process. Changes to recomputation where memory does not suffice, and starts again; then gives up. */
  async function trying(work: (own: Worker) => Promise<void>): Promise<void> {
    if (found.failure !== null) return;
    try {
      worker ??= await startWorker(name, speedSetup(settings, { ...side, recompute: found.recompute }));
      found.parameters = worker.hello.parameters;
      await work(worker);
    } catch (error) {
      if (!(error instanceof NotEnoughMemory)) throw error;
      await stop();
      for (const list of Object.values(times)) list.length = 0; // of a process without recomputation
      if (found.recompute === "none") {
        Object.assign(found, { recompute: "layers", recomputeReason: error.message });
        await trying(work);
      } else found.failure = `does not fit into memory, with recomputation neither: ${error.message}`;
    }
  }

  return {
    name,
    failed: () => found.failure !== null,
    stop,
    /** Takes the steps that are not counted. */
    warmUp: (steps: number) =>
      trying(async (own) => {
        for (let i = 0; i < steps; i++) {
          await settle();
          times.warmupMs.push(rounded((await own.ask<WorkerStep>("step")).milliseconds));
        }
      }),
    /** Returns the milliseconds that it took; 0 where the model does not fit into memory. */
    async timedStep(): Promise<number> {
      let taken = 0;
      await trying(async (own) => {
        const { milliseconds, phases } = await own.ask<WorkerStep>("step");
        taken = milliseconds;
        times.ms.push(rounded(milliseconds));
        times.graphMs.push(rounded(phases.graph));
        times.optimizerMs.push(rounded(phases.optimizer));
      });
      return taken;
    },
    processorSeconds: () => worker?.processorSeconds() ?? Number.NaN,
    async readMemory(): Promise<void> {
      if (worker) found.peakBytes = Math.max(await worker.peakBytes(), found.peakBytes ?? 0);
    },
    result: (): SpeedSideResult => ({
      ...{ model, config, context, batch, tokens: batch * context },
      flopsPerToken: (3 * forwardFlops(config, context)) / context,
      ...{ ...times, ...found },
    }),
  };
}

/** All processes at a time; false when a stop was requested. */
async function sideBySide(
  job: SpeedJob,
  sides: readonly Side[],
  context: RunContext,
  watch: IdleWatch,
): Promise<boolean> {
  const warmups = sides.length * job.warmup;
  const total = warmups + sides.length * job.rounds;
  for (const [i, side] of sides.entries()) {
    context.onProgress(`${side.name}: warm-up`, (i * job.warmup) / total);
    if (context.stopRequested()) return false;
    await side.warmUp(job.warmup);
    await side.readMemory();
  }
  const finished = await inRounds(job, sides, context, { before: warmups, total }, async (side) => {
    const waiting = sides.filter((other) => other !== side && !other.failed());
    await watch.during(waiting, side.timedStep, (milliseconds) => milliseconds);
  });
  for (const side of sides) if (finished) await side.readMemory();
  return finished;
}

/** One process at a time, each started again in every round; false when a stop was requested. */
function oneByOne(job: SpeedJob, sides: readonly Side[], context: RunContext): Promise<boolean> {
  return inRounds(job, sides, context, { before: 0, total: job.rounds * sides.length }, async (side) => {
    await side.warmUp(job.warmup);
    for (let step = 0; step < job.perStart; step++) {
      await settle();
      await side.timedStep();
    }
    await side.readMemory();
    await side.stop();
  });
}

/** Every side in every round, after `before` of `total` pieces of work. False when a stop was requested. */
async function inRounds(
  { rounds }: SpeedJob,
  sides: readonly Side[],
  context: RunContext,
  { before, total }: { readonly before: number; readonly total: number },
  work: (side: Side) => Promise<void>,
): Promise<boolean> {
  let done = before;
  for (let round = 0; round < rounds; round++) {
    for (const turn of turns(sides.length, round)) {
      if (context.stopRequested()) return false;
      context.onProgress(`${sides[turn].name}: round ${round + 1} of ${rounds}`, done / total);
      await work(sides[turn]);
      done++;
    }
  }
  return true;
}

/** Microseconds are enough. */
const rounded = (milliseconds: number) => Math.round(1000 * milliseconds) / 1000;
