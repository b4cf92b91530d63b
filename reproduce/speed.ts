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
  const sides = job.sides.map((side) => new Side(side, context.settings));
  const run = new Rounds(job, sides, context);
  try {
    const finished = job.together ? await run.sideBySide() : await run.inTurn();
    return finished ? { sides: sides.map((side) => side.result()), idleShare: run.watch.share } : undefined;
  } finally {
    for (const side of sides) await side.stop();
  }
}

/** One model of a measurement: its process, while it has one, and its times. */
class Side {
  readonly name: string;
  private readonly settings: ReproduceSettings;
  private readonly fixed: Pick<SpeedSideResult, "model" | "config" | "context" | "batch" | "tokens" | "flopsPerToken">;
  private side: SpeedSide;
  private process: Worker | undefined;
  private parameters: number | null = null;
  private peakBytes: number | null = null;
  private failure: string | null = null;
  private readonly times = {
    warmupMs: [] as number[],
    ms: [] as number[],
    graphMs: [] as number[],
    optimizerMs: [] as number[],
  };

  constructor(side: SpeedSide, settings: ReproduceSettings) {
    const { model, context, batch } = side;
    const { model: config } = speedSetup(settings, side);
    const flopsPerToken = (3 * forwardFlops(config, context)) / context;
    this.side = side;
    this.settings = settings;
    this.name = `${model} at context ${context}`;
    this.fixed = { model, config, context, batch, tokens: batch * context, flopsPerToken };
  }

  get failed(): boolean {
    return this.failure !== null;
  }

  /** Starts the process and takes the steps that are not counted. */
  async warmUp(steps: number): Promise<void> {
    await this.trying(async (worker) => {
      for (let i = 0; i < steps; i++) {
        await settle();
        this.times.warmupMs.push(rounded((await worker.ask<WorkerStep>("step")).milliseconds));
      }
    });
  }

  /** The milliseconds it took; 0 where the model does not fit into memory. */
  async timedStep(): Promise<number> {
    let taken = 0;
    await this.trying(async (worker) => {
      const { milliseconds, phases } = await worker.ask<WorkerStep>("step");
      taken = milliseconds;
      this.times.ms.push(rounded(milliseconds));
      this.times.graphMs.push(rounded(phases.graph));
      this.times.optimizerMs.push(rounded(phases.optimizer));
    });
    return taken;
  }

  processorSeconds(): number {
    return this.process?.processorSeconds() ?? Number.NaN;
  }

  async readMemory(): Promise<void> {
    const peak = await this.process?.peakBytes();
    if (peak !== undefined) this.peakBytes = Math.max(peak, this.peakBytes ?? 0);
  }

  async stop(): Promise<void> {
    await this.process?.stop();
    this.process = undefined;
  }

  result(): SpeedSideResult {
    const { recompute, recomputeReason } = this.side;
    const { parameters, peakBytes, failure } = this;
    return { ...this.fixed, ...this.times, recompute, recomputeReason, parameters, peakBytes, failure };
  }

  /**
   * Gives work its process. Goes over to recomputation where memory does not suffice, and starts anew; then gives up.
   */
  private async trying(work: (worker: Worker) => Promise<void>): Promise<void> {
    if (this.failed) return;
    try {
      this.process ??= await startWorker(this.name, speedSetup(this.settings, this.side));
      this.parameters = this.process.hello.parameters;
      await work(this.process);
    } catch (error) {
      if (!(error instanceof NotEnoughMemory)) throw error;
      await this.stop();
      for (const list of Object.values(this.times)) list.length = 0; // none of them is of what comes now
      if (this.side.recompute === "none") {
        this.side = { ...this.side, recompute: "layers", recomputeReason: error.message };
        await this.trying(work);
      } else this.failure = `does not fit into memory, with recomputation neither: ${error.message}`;
    }
  }
}

/** The order of steps, and how busy the waiting processes were. */
class Rounds {
  readonly watch = new IdleWatch();
  private readonly job: SpeedJob;
  private readonly sides: readonly Side[];
  private readonly context: RunContext;

  constructor(job: SpeedJob, sides: readonly Side[], context: RunContext) {
    this.job = job;
    this.sides = sides;
    this.context = context;
  }

  /** All processes at a time; false when a stop was requested. */
  async sideBySide(): Promise<boolean> {
    const { warmup, rounds } = this.job;
    const total = this.sides.length * (warmup + rounds);
    for (const [i, side] of this.sides.entries()) {
      this.context.onProgress(`${side.name}: warm-up`, (i * warmup) / total);
      if (this.context.stopRequested()) return false;
      await side.warmUp(warmup);
      await side.readMemory();
    }
    const finished = await this.eachInTurn(this.sides.length * warmup, total, async (side) => {
      const waiting = this.sides.filter((other) => other !== side && !other.failed);
      await this.watch.during(
        waiting,
        () => side.timedStep(),
        (milliseconds) => milliseconds,
      );
    });
    for (const side of this.sides) if (finished) await side.readMemory();
    return finished;
  }

  /** One process at a time, each started anew in every round; false when a stop was requested. */
  async inTurn(): Promise<boolean> {
    const { warmup, rounds, perStart } = this.job;
    return await this.eachInTurn(0, rounds * this.sides.length, async (side) => {
      await side.warmUp(warmup);
      for (let step = 0; step < perStart; step++) {
        await settle();
        await side.timedStep();
      }
      await side.readMemory();
      await side.stop();
    });
  }

  /**
   * Every side in every round; `before` of `total` pieces of work are done already. False when a stop was requested.
   */
  private async eachInTurn(before: number, total: number, work: (side: Side) => Promise<void>): Promise<boolean> {
    const { rounds } = this.job;
    let done = before;
    for (let round = 0; round < rounds; round++) {
      for (const turn of turns(this.sides.length, round)) {
        if (this.context.stopRequested()) return false;
        const side = this.sides[turn];
        this.context.onProgress(`${side.name}: round ${round + 1} of ${rounds}`, done / total);
        await work(side);
        done++;
      }
    }
    return true;
  }
}

/** Microseconds are enough. */
const rounded = (milliseconds: number) => Math.round(1000 * milliseconds) / 1000;
