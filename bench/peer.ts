/**
 * Writing with FLASH beside llama.cpp, as node-llama-cpp runs it in the same runtime, with a model of as many parameters: tokens a
 * second and resident memory at growing positions. The peer is no dependency; without it the section says how to install it.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { settle, turns, withProcesses } from "../reproduce/process.ts";
import { ratios, type Spread, spread } from "../reproduce/statistics.ts";
import type { PresetName } from "../src/models/presets.ts";
import { nodeWorker, threads } from "./longhand.ts";
import { type GgufWeights, writeGguf } from "./peer-gguf.ts";

export const PEER = "node-llama-cpp";
export const PEER_INSTALL = `npm install --no-save ${PEER}@3`;
export const PEER_VOCABULARY = 8192;
export const PEER_CONTEXT = 32_768;

const POSITIONS = [100, 8000, 30_000];
const TOKENS = 32;
const WEIGHTS: readonly GgufWeights[] = ["float32", "q8_0"];

export interface PeerReport {
  readonly preset: PresetName;
  readonly threads: number;
  /** undefined: it is not installed. */
  readonly sides?: readonly PeerSide[] | undefined;
}

export interface PeerSide {
  readonly name: string;
  /** Of the peer. */
  readonly parameters?: number;
  readonly peakBytes: number;
  readonly positions: readonly {
    readonly position: number;
    readonly tokensPerSecond: Spread;
    /** Longhand's rate against this one, round by round. */
    readonly ratio: Spread;
    /** Of reading from the position before up to this one. */
    readonly readPerSecond: number;
    readonly residentBytes: number;
  }[];
}

interface PeerOptions {
  readonly rounds: number;
  readonly preset: PresetName;
  readonly note: (text: string) => void;
}

interface Reply {
  readonly milliseconds: number;
  readonly residentBytes: number;
}

export async function benchPeer({ rounds, preset, note }: PeerOptions): Promise<PeerReport> {
  const report = { preset, threads: threads() };
  if (!isInstalled()) return report;
  const folder = mkdtempSync(join(tmpdir(), "longhand-bench-"));
  try {
    const files = WEIGHTS.map((weights) => {
      const path = join(folder, `${weights}.gguf`);
      const parameters = writeGguf(path, { preset, vocabSize: PEER_VOCABULARY, context: PEER_CONTEXT, weights });
      return { name: `llama.cpp ${weights}`, path, parameters };
    });
    const arguments_ = [["longhand", preset], ...files.map(({ path }) => ["peer", path])];
    const names = ["Longhand float32", ...files.map(({ name }) => name)];
    const options = arguments_.map((each, i) => nodeWorker(names[i], "peer-worker.ts", [...each, String(threads())]));
    const sides = await withProcesses(options, async (workers) => {
      const measured = names.map(() => [] as PeerSide["positions"][number][]);
      for (const worker of workers) await worker.ready();
      let before = 0;
      for (const position of POSITIONS) {
        note(`peer: reading up to ${position}`);
        const readPerSecond: number[] = [];
        for (const worker of workers) {
          const { milliseconds } = await worker.ask<Reply>("read", { position });
          readPerSecond.push((1000 * (position - before)) / milliseconds);
        }
        before = position;
        const rates = names.map(() => [] as number[]);
        const resident = names.map(() => 0);
        for (let round = 0; round <= rounds; round++) {
          for (const turn of turns(workers.length, round)) {
            await settle();
            const reply = await workers[turn].ask<Reply>("write", { tokens: TOKENS });
            if (round > 0) rates[turn].push((1000 * TOKENS) / reply.milliseconds); // round 0 is warm-up
            resident[turn] = reply.residentBytes;
          }
          note(`peer: position ${position}, round ${round} of ${rounds}`);
        }
        for (const [i, own] of rates.entries()) {
          const speeds = { tokensPerSecond: spread(own), ratio: spread(ratios(rates[0], own)) };
          measured[i].push({ position, ...speeds, readPerSecond: readPerSecond[i], residentBytes: resident[i] });
        }
      }
      const peaks: number[] = [];
      for (const worker of workers) peaks.push(await worker.peakBytes());
      return names.map((name, i) => ({
        name,
        ...(i > 0 && { parameters: files[i - 1].parameters }),
        ...{ peakBytes: peaks[i], positions: measured[i] },
      }));
    });
    return { ...report, sides };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function isInstalled(): boolean {
  try {
    return import.meta.resolve(PEER) !== "";
  } catch {
    return false;
  }
}
