/** The report's figures as CSV (RFC 4180), one table a section: each row says all that it is about. */
import type { Spread } from "../statistics.ts";
import type { QualityRow } from "./quality-summary.ts";
import type { Summary } from "./summary.ts";

type Cell = string | number | null;
type Row = Readonly<Record<string, Cell>>;

/** File names with their text; a section without rows has no file. */
export function csvFiles(summary: Summary): Record<string, string> {
  const tables: Record<string, Row[]> = {
    "speed.csv": summary.speed.map((row) => ({
      ...{ model: row.model, context: row.context, batch: row.batch, tokens_per_step: row.tokens },
      ...{ parameters: row.parameters, recompute: row.recompute },
      ...spreadCells("step_ms", row.milliseconds),
      ...spreadCells("us_per_token", row.microsecondsPerToken),
      ...spreadCells("times_as_fast_as_transformer_pp", row.timesAsFast),
      ...{ arithmetic_ratio: row.arithmeticRatio, mflop_per_token: row.megaflopsPerToken },
      ...{ gflop_per_second: row.gigaflopsPerSecond, optimizer_share: row.optimizerShare, peak_bytes: row.peakBytes },
      ...{ failure: row.failure, machine: row.identity },
    })),
    "flash-flat.csv": summary.flat.map((row) => ({
      ...{ context: row.context, tokens_per_step: row.tokens, recompute: row.recompute },
      ...spreadCells("us_per_token", row.microsecondsPerToken),
      ...spreadCells("time_ratio", row.timeRatio),
      ...{ peak_bytes: row.peakBytes, memory_ratio: row.memoryRatio, failure: row.failure, machine: row.identity },
    })),
    "quality.csv": summary.quality.map(trainedRow),
    "curves.csv": [...summary.quality, ...summary.ablations].flatMap((row) =>
      row.curve.map((point) => ({ ...named(row), ...point })),
    ),
    "speed-ups.csv": summary.speedUps.map((row) => ({
      ...{ model: row.model, objective: row.objective, context: row.context },
      ...{ target_perplexity: row.targetPerplexity, transformer_pp_seconds: row.referenceSeconds },
      ...{ seconds: row.seconds, steps: row.steps, seeds: row.seeds },
      ...{ speed_up: row.speedUp, speed_up_lowest: row.lowest, speed_up_highest: row.highest },
    })),
    "ablations.csv": summary.ablations.map(trainedRow),
    "recall.csv": summary.recall.flatMap(({ model, ablation, context, steps, seeds, points }) =>
      points.map((point) => ({ model, ablation, context, steps, seeds, ...point })),
    ),
    "positions.csv": summary.quality.flatMap((row) =>
      (row.beyond?.byPosition ?? []).map((range) => ({ ...named(row), ...range })),
    ),
    "context-use.csv": summary.quality.flatMap((row) => row.byPosition.map((range) => ({ ...named(row), ...range }))),
  };
  const filled = Object.entries(tables).filter(([, rows]) => rows.length > 0);
  return Object.fromEntries(filled.map(([name, rows]) => [name, csvText(rows)]));
}

const named = ({ model, ablation, objective, context }: QualityRow): Row => ({ model, ablation, objective, context });

function trainedRow(row: QualityRow): Row {
  return {
    ...named(row),
    ...{ tokens_per_step: row.tokensPerStep, steps: row.steps, learning_rate: row.lr, parameters: row.parameters },
    ...{
      perplexity: row.perplexity,
      deviation: row.deviation,
      seeds: row.runs.length,
      loss: row.loss,
      accuracy: row.accuracy,
      evaluated_tokens: row.evaluatedTokens,
    },
    ...spreadCells("step_ms", row.stepMilliseconds),
    ...{ training_seconds: row.trainingSeconds, mflop_per_token: row.megaflopsPerToken, peak_bytes: row.peakBytes },
    rates_tried: row.rates.map(({ lr, loss }) => `${lr}:${loss ?? "failed"}`).join(" "),
    ...{ recompute: row.recompute, failure: row.failure, machine: row.identity },
  };
}

function spreadCells(name: string, value: Spread | null): Row {
  return {
    [name]: value?.median ?? null,
    [`${name}_q1`]: value?.low ?? null,
    [`${name}_q3`]: value?.high ?? null,
    [`${name}_rounds`]: value?.rounds ?? null,
  };
}

export function csvText(rows: readonly Row[]): string {
  const columns = Object.keys(rows[0]);
  const lines = rows.map((row) => columns.map((column) => cell(row[column])).join(","));
  return `${[columns.join(","), ...lines].join("\r\n")}\r\n`;
}

function cell(value: Cell): string {
  if (value === null) return "";
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
