/**
 * Memory of long contexts: one training step of FLASH, preset small, one sequence, with activations kept and with layers
 * computed again, each in a process of its own. With recomputation the peak should grow with the context and no faster.
 */
import { totalmem } from "node:os";
import { withWorkers } from "../reproduce/worker-process.ts";
import { nodeWorker, threads } from "./longhand.ts";

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
const CONTEXTS = [8192, 16_384, 32_768, 65_536];
/** With activations kept, where it fits into this many bytes a token of the preset and the machine's memory. */
const KEPT_BYTES_PER_TOKEN = 600_000;

export async function benchMemory({ note }: { readonly note: (text: string) => void }): Promise<MemoryReport> {
  const measurements: MemoryMeasurement[] = [];
  for (const context of CONTEXTS) {
    const ways = context * KEPT_BYTES_PER_TOKEN < totalmem() ? (["none", "layers"] as const) : (["layers"] as const);
    for (const recompute of ways) {
      note(`memory: context ${context}, recompute ${recompute}`);
      const args = [PRESET, String(context), recompute, String(threads())];
      const worker = nodeWorker(`memory ${context} ${recompute}`, "memory-worker.ts", args);
      const measured = await withWorkers([worker], ([own]) =>
        own.ready<Omit<MemoryMeasurement, "context" | "recompute">>(),
      );
      measurements.push({ context, recompute, ...measured });
    }
  }
  const [shortest, ...longer] = measurements.filter(({ recompute }) => recompute === "layers");
  const bytesPerToken = longer.map(
    ({ context, peakBytes }) => (peakBytes - shortest.peakBytes) / (context - shortest.context),
  );
  return { preset: PRESET, measurements, bytesPerToken };
}
