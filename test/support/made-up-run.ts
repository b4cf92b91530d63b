/** A run folder without a training: a configuration, and records as a training would write them. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { MetricsRecord } from "../../src/studio/api.ts";

export interface MadeUpRun {
  readonly steps?: number;
  /** Records of so many steps, with an evaluation after every 100. */
  readonly taken: number;
  readonly finished?: boolean;
  readonly model?: Readonly<Record<string, unknown>>;
}

export function trainRecord(step: number): Extract<MetricsRecord, { type: "train" }> {
  const loss = 5 / Math.sqrt(step);
  return {
    ...{ type: "train", step, tokens: 128 * step, loss, perplexity: Math.exp(loss), gradientNorm: 1 / step },
    ...{ learningRate: 0.001, tokensPerSecond: 5000, seconds: step / 4, memory: 1e8 + step },
  };
}

export const lineOf = (record: MetricsRecord) => `${JSON.stringify(record)}\n`;

/** Its metrics, line by line. */
export function metricsOf({ taken, finished = false }: MadeUpRun): string {
  const lines: string[] = [];
  for (let step = 1; step <= taken; step++) {
    lines.push(lineOf(trainRecord(step)));
    if (step % 100 === 0) {
      const loss = 5 / Math.sqrt(step) + 0.1;
      lines.push(lineOf({ type: "eval", step, loss, perplexity: Math.exp(loss), tokens: 512 }));
    }
  }
  if (finished) lines.push(lineOf({ type: "finished", step: taken }));
  return lines.join("");
}

/** Writes `folder/name`. */
export function makeRun(folder: string, name: string, run: MadeUpRun): string {
  const path = join(folder, name);
  mkdirSync(join(path, "checkpoints", `step-${String(run.taken).padStart(8, "0")}`), { recursive: true });
  const config = {
    ...{ format: "longhand-run", version: 1, longhand: "0.1.0" },
    data: { path: "/texts/book.txt", vocab: 300 },
    model: { architecture: "flash", width: 128, layers: 4, ...run.model },
    training: { objective: "causal", context: 64, batch: 2, steps: run.steps ?? run.taken },
    engine: { device: "cpu", threads: 1 },
  };
  writeFileSync(join(path, "config.json"), JSON.stringify(config, null, 2));
  writeFileSync(join(path, "metrics.jsonl"), metricsOf(run));
  return path;
}
