/**
 * Runs a speed measurement: every model in a process of its own, one step at a time, each round beginning with another
 * one, so that what else happens on the machine hits all alike. A model that does not fit into memory is tried again with
 * recomputation of activations; one that still does not is left out, and its line says why.
 */
import { forwardFlops } from "longhand/models";
import { speedSchedule } from "./calibrate.ts";
import type { SpeedJob, SpeedSide } from "./jobs.ts";
import { MeasuredProcess, NotEnoughMemory } from "./measured-process.ts";
import { modelConfig } from "./models.ts";
import type { SpeedResult, SpeedSideResult } from "./results.ts";
import type { ReproduceSettings } from "./settings.ts";
import { settle } from "./worker-process.ts";
import type { WorkerSetup } from "./worker-setup.ts";

export interface RunContext {
  readonly settings: ReproduceSettings;
  /** Folder of the comparison. */
  readonly folder: string;
  /** Told what is going on, and the share of the job that is done, 0 … 1. */
  readonly onProgress: (text: string, done: number) => void;
  readonly onWarning: (message: string) => void;
  readonly stopRequested: () => boolean;
}

export type SpeedMeasurement = Pick<SpeedResult, "sides" | "idleShare">;

/** Undefined when a stop was asked for: what was timed until then is dropped. */
export async function measureSpeed(job: SpeedJob, context: RunContext): Promise<SpeedMeasurement | undefined> {
  const sides = job.sides.map((side) => new Side(side, context.settings));
  const run = new Rounds(job, sides, context);
  try {
    const finished = job.together ? await run.sideBySide() : await run.inTurn();
    return finished ? { sides: sides.map((side) => side.result()), idleShare: run.idleShare } : undefined;
  } finally {
    for (const side of sides) await side.stop();
  }
}

/** One model of a measurement: its process, while it has one, and its times. */
class Side {
  readonly name: string;
  private readonly side: SpeedSide;
  private readonly settings: ReproduceSettings;
  private process: (MeasuredProcess & { readonly hello: { readonly parameters: number } }) | undefined;
  private recompute: SpeedSide["recompute"];
  private recomputeReason: string | null;
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
    this.side = side;
    this.settings = settings;
    this.name = `${side.model} at context ${side.context}`;
    this.recompute = side.recompute;
    this.recomputeReason = side.recomputeReason;
  }

  get failed(): boolean {
    return this.failure !== null;
  }

  /** Starts the process and takes the steps that are not counted. */
  async warmUp(steps: number): Promise<void> {
    await this.trying(async () => {
      await this.ensureStarted();
      for (let i = 0; i < steps; i++) {
        await settle();
        const { milliseconds } = (await this.process?.step()) ?? { milliseconds: Number.NaN };
        this.times.warmupMs.push(rounded(milliseconds));
      }
    });
  }

  async timedStep(): Promise<number> {
    let taken = 0;
    await this.trying(async () => {
      await this.ensureStarted();
      const step = await this.process?.step();
      if (step === undefined) return;
      taken = step.milliseconds;
      this.times.ms.push(rounded(step.milliseconds));
      this.times.graphMs.push(rounded(step.phases.graph));
      this.times.optimizerMs.push(rounded(step.phases.optimizer));
    });
    return taken;
  }

  processorSeconds(): number | undefined {
    return this.process?.processorSeconds();
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
    const { model, context, batch } = this.side;
    const config = this.config();
    return {
      ...{ model, config, context, batch, tokens: batch * context },
      recompute: this.recompute,
      parameters: this.parameters,
      flopsPerToken: (3 * forwardFlops(config, context)) / context,
      ...this.times,
      peakBytes: this.peakBytes,
      failure: this.failure,
      recomputeReason: this.recomputeReason,
    };
  }

  private config() {
    const { preset, vocab: vocabSize } = this.settings;
    return modelConfig({ model: this.side.model, preset, context: this.side.context, vocabSize, objective: "causal" });
  }

  private async ensureStarted(): Promise<void> {
    if (this.process !== undefined || this.failed) return;
    const { batch, context } = this.side;
    const { threads, device, seed } = this.settings;
    const setup: WorkerSetup = {
      ...{ model: this.config(), batch, context, threads, device, seed },
      ...{ objective: "causal", recompute: this.recompute },
      ...speedSchedule(1),
    };
    this.process = await MeasuredProcess.start(this.name, setup);
    this.parameters = this.process.hello.parameters;
  }

  /** Goes over to recomputation where memory does not suffice, and starts `work` again; then gives up. */
  private async trying(work: () => Promise<void>): Promise<void> {
    if (this.failed) return;
    try {
      await work();
    } catch (error) {
      if (!(error instanceof NotEnoughMemory)) throw error;
      await this.stop();
      for (const list of Object.values(this.times)) list.length = 0; // none of them is of what comes now
      if (this.recompute === "none") {
        this.recompute = "layers";
        this.recomputeReason = error.message;
        await this.trying(work);
      } else this.failure = `does not fit into memory, with recomputation neither: ${error.message}`;
    }
  }
}

/** The order of steps, and how busy the waiting processes were. */
class Rounds {
  idleShare: number | null = null;
  private readonly job: SpeedJob;
  private readonly sides: readonly Side[];
  private readonly context: RunContext;

  constructor(job: SpeedJob, sides: readonly Side[], context: RunContext) {
    this.job = job;
    this.sides = sides;
    this.context = context;
  }

  /** All processes at a time; false when a stop was asked for. */
  async sideBySide(): Promise<boolean> {
    const { warmup, rounds } = this.job;
    const total = this.sides.length * (warmup + rounds);
    for (const [i, side] of this.sides.entries()) {
      this.context.onProgress(`${side.name}: warm-up`, (i * warmup) / total);
      if (this.context.stopRequested()) return false;
      await side.warmUp(warmup);
      await side.readMemory();
    }
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < this.sides.length; i++) {
        if (this.context.stopRequested()) return false;
        const side = this.sides[(round + i) % this.sides.length];
        const done = this.sides.length * (warmup + round) + i;
        this.context.onProgress(`${side.name}: round ${round + 1} of ${rounds}`, done / total);
        await settle();
        await this.watched(side);
      }
    }
    for (const side of this.sides) await side.readMemory();
    return true;
  }

  /** One process at a time, each started anew in every round; false when a stop was asked for. */
  async inTurn(): Promise<boolean> {
    const { warmup, rounds, perStart } = this.job;
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < this.sides.length; i++) {
        if (this.context.stopRequested()) return false;
        const side = this.sides[(round + i) % this.sides.length];
        const done = (round * this.sides.length + i) / (rounds * this.sides.length);
        this.context.onProgress(`${side.name}: round ${round + 1} of ${rounds}`, done);
        await side.warmUp(warmup);
        for (let step = 0; step < perStart; step++) {
          await settle();
          await side.timedStep();
        }
        await side.readMemory();
        await side.stop();
      }
    }
    return true;
  }

  private async watched(side: Side): Promise<void> {
    const waiting = this.sides.filter((other) => other !== side && !other.failed);
    const before = waiting.map((other) => other.processorSeconds());
    const milliseconds = await side.timedStep();
    const used = waiting.map((other, i) => (other.processorSeconds() ?? Number.NaN) - (before[i] ?? Number.NaN));
    const share = used.reduce((sum, seconds) => sum + seconds, 0) / (milliseconds / 1000);
    if (Number.isFinite(share)) this.idleShare = Math.max(this.idleShare ?? 0, share);
  }
}

/** Microseconds are enough. */
const rounded = (milliseconds: number) => Math.round(1000 * milliseconds) / 1000;
