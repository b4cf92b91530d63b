/**
 * Starts the processes that are measured (worker.ts) and keeps the machine alive meanwhile: a process that would use up
 * the memory is ended before the system has to choose a victim, and what it was asked for fails with NotEnoughMemory.
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { messageOf } from "longhand/tools";
import { freeMemory, totalMemory } from "./memory.ts";
import { WorkerProcess } from "./worker-process.ts";
import type { WorkerEvaluation, WorkerHello, WorkerSetup, WorkerStep } from "./worker-setup.ts";

/** A model did not fit into the memory there is. */
export class NotEnoughMemory extends Error {}

const WATCH_MS = 100;
/** Of all memory, what must stay free. */
const RESERVE = 0.06;

export class MeasuredProcess {
  readonly name: string;
  private readonly worker: WorkerProcess;
  private readonly folder: string;

  private constructor(name: string, setup: WorkerSetup) {
    this.name = name;
    this.folder = mkdtempSync(join(tmpdir(), "longhand-reproduce-"));
    const file = join(this.folder, "setup.json");
    writeFileSync(file, JSON.stringify(setup));
    // Beside this file, in the same language: the built package runs worker.js, a loader of TypeScript worker.ts.
    const script = fileURLToPath(import.meta.resolve(`./worker.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`));
    const args = [...process.execArgv, script, file];
    this.worker = new WorkerProcess({ name, command: process.execPath, args, env: process.env });
    offerAsVictim(this.worker.pid);
  }

  /** Starts a process and waits until it is ready. Throws NotEnoughMemory. */
  static async start(name: string, setup: WorkerSetup): Promise<MeasuredProcess & { readonly hello: WorkerHello }> {
    const own = new MeasuredProcess(name, setup);
    try {
      const hello = await own.guarded(() => own.worker.ready<WorkerHello>());
      return Object.assign(own, { hello });
    } catch (error) {
      await own.stop();
      throw error;
    }
  }

  step(): Promise<WorkerStep> {
    return this.guarded(() => this.worker.ask<WorkerStep>("step"));
  }

  evaluate(part: "curve" | "final"): Promise<WorkerEvaluation> {
    return this.guarded(() => this.worker.ask<WorkerEvaluation>("evaluate", { part }));
  }

  async save(): Promise<void> {
    await this.worker.ask("save");
  }

  async peakBytes(): Promise<number> {
    return (await this.worker.ask<{ peakBytes: number }>("memory")).peakBytes;
  }

  /** Seconds of processor time so far; undefined where the system does not say. */
  processorSeconds(): number | undefined {
    return this.worker.processorSeconds();
  }

  async stop(): Promise<void> {
    await this.worker.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  private async guarded<T>(work: () => Promise<T>): Promise<T> {
    let shortage: string | undefined;
    const watch = setInterval(() => {
      const free = freeMemory();
      if (shortage !== undefined || free > RESERVE * totalMemory()) return;
      shortage = `it was stopped when ${gigabytes(free)} of ${gigabytes(totalMemory())} were left`;
      void this.worker.kill();
    }, WATCH_MS);
    try {
      return await work();
    } catch (error) {
      const message = messageOf(error);
      if (shortage !== undefined) throw new NotEnoughMemory(shortage);
      if (/alloc|out of memory|exceeds the max/i.test(message)) throw new NotEnoughMemory(message);
      throw error;
    } finally {
      clearInterval(watch);
    }
  }
}

/** 1234567890 -> "1.2 GB" */
export function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

/** Should memory run out in spite of all, the system is to end this process rather than another one. */
function offerAsVictim(pid: number | undefined): void {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, "1000");
  } catch {
    // Another system, or the process is gone already: it will be told by its missing answer.
  }
}
