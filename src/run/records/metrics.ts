/**
 * What a run reports about itself: a line of JSON per record in `metrics.jsonl`, and its numbers as scalars in a TensorBoard
 * event file. A resumed run continues the file as if it had never stopped.
 */
import { join } from "node:path";
import { LonghandError } from "../../base/errors.ts";
import { openAppendFile } from "../../checkpoint/append.node.ts";
import { writeFileAtomic } from "../../checkpoint/atomic.node.ts";
import { readWhole } from "../../checkpoint/read.node.ts";
import type { EvalRecord, SkipRecord, TrainRecord } from "../../train/loop.ts";
import { recordsUpTo } from "../../training/records.ts";
import type { SampleRecord } from "../../training/sample.ts";
import { openEventFile } from "./tensorboard.ts";

export interface CheckpointRecord {
  readonly type: "checkpoint";
  readonly step: number;
  readonly path: string;
}

export interface FinishedRecord {
  readonly type: "finished";
  readonly step: number;
}

/** With the memory that the process takes, in bytes (its resident set). */
export interface StepRecord extends TrainRecord {
  readonly memory: number;
}

export type MetricsRecord = StepRecord | EvalRecord | SampleRecord | SkipRecord | CheckpointRecord | FinishedRecord;

export interface Metrics {
  /** Damaged lines that were removed on opening: usually the last, half written when the process was killed. */
  readonly damagedLines: number;
  /** Records of steps after the resumed one that were removed on opening. */
  readonly laterRecords: number;
  /** Adds a record to both files. "checkpoint" and "finished" also flush them to the disk. Throws `io`. */
  record(record: MetricsRecord): void;
  close(): void;
}

const FILE = "metrics.jsonl";

/**
 * Opens the metrics of a run folder and removes damaged lines. With `resumeStep` it also removes all records of later
 * steps, and a "finished" at that step, so that the file continues as if the run had never been interrupted. Throws `io`.
 */
export async function openMetrics(dir: string, options: { resumeStep?: number } = {}): Promise<Metrics> {
  const path = join(dir, FILE);
  const { damagedLines, laterRecords } = await repair(path, options.resumeStep ?? Number.POSITIVE_INFINITY);
  const events = openEventFile(dir, options);
  const lines = openAppendFile(path);
  return {
    damagedLines,
    laterRecords,
    record: (record) => {
      lines.append(`${JSON.stringify(record)}\n`);
      const scalars = scalarsOf(record);
      if (scalars !== undefined) events.scalars(record.step, scalars);
      if (record.type === "checkpoint" || record.type === "finished") {
        lines.sync();
        events.sync();
      }
    },
    close: () => {
      lines.close();
      events.close();
    },
  };
}

function scalarsOf(record: MetricsRecord): Record<string, number> | undefined {
  switch (record.type) {
    case "train":
      return {
        "train/loss": record.loss,
        "train/perplexity": record.perplexity,
        "train/gradient_norm": record.gradientNorm,
        "train/learning_rate": record.learningRate,
        "train/tokens": record.tokens,
        "train/tokens_per_second": record.tokensPerSecond,
        "train/memory": record.memory,
      };
    case "eval":
      return {
        "eval/loss": record.loss,
        "eval/perplexity": record.perplexity,
        ...Object.fromEntries(record.parts?.map(({ name, loss }) => [`eval/loss/${name}`, loss]) ?? []),
      };
    case "sample":
    case "skip":
    case "checkpoint":
    case "finished":
      return undefined;
  }
}

/** Rewrites the file without damaged lines and later records, if it has any. */
async function repair(path: string, lastStep: number): Promise<{ damagedLines: number; laterRecords: number }> {
  let bytes: Uint8Array;
  try {
    bytes = await readWhole(path);
  } catch (error) {
    const missing = error instanceof LonghandError && (error.cause as NodeJS.ErrnoException)?.code === "ENOENT";
    if (missing) return { damagedLines: 0, laterRecords: 0 };
    throw error;
  }
  const { kept, damagedLines, laterRecords } = recordsUpTo(bytes, lastStep);
  if (damagedLines + laterRecords > 0) await writeFileAtomic(path, [concatenate(kept)]);
  return { damagedLines, laterRecords };
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}
