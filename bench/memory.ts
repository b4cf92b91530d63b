/**
 * Memory of long contexts: one training step of FLASH, preset small, one sequence, with activations kept and with
 * layers computed again, each in a process of its own. With recomputation the peak should grow with the context and no
 * faster.
 */
import { speedSetup } from "../reproduce/calibrate.ts";
import { resolveSettings } from "../reproduce/settings.ts";
import { startWorker, type WorkerStep } from "../reproduce/worker-setup.ts";
import { machineMemory } from "../src/run/machine/available-memory.ts";
import { trainingMemory } from "../src/run/machine/memory.ts";
import { longhandEnvironment } from "./machine.ts";

export interface MemoryMeasurement {
  readonly context: number;
  readonly recompute: "none" | "layers";
  /** Largest resident size of the process. */
  readonly peakBytes: number;
  /** What the estimate that is made before a training says. */
  readonly estimatedBytes: number;
  /** Forward and backward pass. */
  readonly seconds: number;
  readonly loss: number;
}

export interface MemoryReport {
  readonly preset: "small";
  readonly measurements: readonly MemoryMeasurement[];
  /** Bytes a token of context, with recomputation, between the shortest context and each longer one. */
  readonly bytesPerToken: readonly number[];
}

const PRESET = "small";
const VOCABULARY = 8192;
const CONTEXTS = [8192, 16_384, 32_768, 65_536];
/** With activations kept, where it fits into this many bytes a token of the preset and the machine's memory. */
const KEPT_BYTES_PER_TOKEN = 600_000;

export async function benchMemory({ note }: { readonly note: (text: string) => void }): Promise<MemoryReport> {
  const measurements: MemoryMeasurement[] = [];
  const { total } = machineMemory();
  for (const context of CONTEXTS) {
    const ways = context * KEPT_BYTES_PER_TOKEN < total ? (["none", "layers"] as const) : (["layers"] as const);
    for (const recompute of ways) {
      note(`memory: context ${context}, recompute ${recompute}`);
      const settings = resolveSettings({ preset: PRESET, vocab: VOCABULARY });
      const setup = speedSetup(settings, { model: "flash", context, batch: 1, recompute });
      const { model } = setup;
      const estimatedBytes = trainingMemory({ model, recompute, batch: 1, context, accumulate: 1, evaluated: false });
      const worker = await startWorker(`memory ${context} ${recompute}`, setup, longhandEnvironment());
      try {
        const { peakBytes, phases, loss } = await worker.ask<WorkerStep>("step");
        measurements.push({ context, recompute, peakBytes, estimatedBytes, seconds: phases.graph / 1000, loss });
      } finally {
        await worker.stop();
      }
    }
  }
  const [shortest, ...longer] = measurements.filter(({ recompute }) => recompute === "layers");
  const bytesPerToken = longer.map(
    ({ context, peakBytes }) => (peakBytes - shortest.peakBytes) / (context - shortest.context),
  );
  return { preset: PRESET, measurements, bytesPerToken };
}
