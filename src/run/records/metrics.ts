/**
 * What a run reports about itself: one JSON line a record in `metrics.jsonl`, and its numbers as scalars in a TensorBoard
 * event file. A resumed run continues the file as if it had never stopped.
 */
import { join } from "node:path";
import { LonghandError } from "../../base/errors.ts";
import { openAppendFile } from "../../checkpoint/append.node.ts";
import { writeFileAtomic } from "../../checkpoint/atomic.node.ts";
import { readWhole } from "../../checkpoint/read.node.ts";
import type { EvalRecord, SkipRecord, TrainRecord } from "../../train/loop.ts";
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

export type MetricsRecord = TrainRecord | EvalRecord | SkipRecord | CheckpointRecord | FinishedRecord;

export interface Metrics {
  /** Lines found on opening that hold no record (the last one, half written when the process was killed) and are gone. */
  readonly damagedLines: number;
  /** Records found on opening of steps after the one resumed from, which are gone. */
  readonly laterRecords: number;
  /** Adds a record to both files; after a "checkpoint" and a "finished" they are flushed to the disk. Throws `io`. */
  record(record: MetricsRecord): void;
  close(): void;
}

const FILE = "metrics.jsonl";

/**
 * Opens the metrics of a run folder. Lines that hold no record are removed. With `resumeStep`, so are all records of
 * later steps and a "finished" at that step, since the run goes on: the file then continues like that of a run that was
 * never interrupted. Throws `io`.
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
      };
    case "eval":
      return {
        "eval/loss": record.loss,
        "eval/perplexity": record.perplexity,
        ...Object.fromEntries(record.parts?.map(({ name, loss }) => [`eval/loss/${name}`, loss]) ?? []),
      };
    case "skip":
    case "checkpoint":
    case "finished":
      return undefined;
  }
}

/** Rewrites the file, if need be, without damaged lines and without what lies after the step resumed from. */
async function repair(path: string, lastStep: number): Promise<{ damagedLines: number; laterRecords: number }> {
  let bytes: Uint8Array;
  try {
    bytes = await readWhole(path);
  } catch (error) {
    const missing = error instanceof LonghandError && (error.cause as NodeJS.ErrnoException)?.code === "ENOENT";
    if (missing) return { damagedLines: 0, laterRecords: 0 };
    throw error;
  }
  const kept: Uint8Array[] = [];
  let damagedLines = 0;
  let laterRecords = 0;
  for (let start = 0; start < bytes.length; ) {
    const newline = bytes.indexOf(0x0a, start);
    const end = newline < 0 ? bytes.length : newline + 1;
    const record = newline < 0 ? undefined : parseRecord(bytes.subarray(start, newline));
    if (record === undefined) damagedLines++;
    else if (record.step > lastStep || (record.step === lastStep && record.type === "finished")) laterRecords++;
    else kept.push(bytes.subarray(start, end));
    start = end;
  }
  if (damagedLines + laterRecords > 0) await writeFileAtomic(path, [concatenate(kept)]);
  return { damagedLines, laterRecords };
}

/** Step and type of a line, or undefined when it is no record. */
function parseRecord(line: Uint8Array): { type: string; step: number } | undefined {
  try {
    const { type, step } = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(line));
    return typeof type === "string" && Number.isSafeInteger(step) ? { type, step } : undefined;
  } catch {
    return undefined;
  }
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
