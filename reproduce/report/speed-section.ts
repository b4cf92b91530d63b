/** Speed and memory in the report: every architecture against the context, and FLASH alone at a fixed number of tokens. */
import { labelOf, REFERENCE } from "../architectures.ts";
import { bytesText, ratioText, significant, spreadText, whole } from "./format.ts";
import { figure, paragraph, type Section, table } from "./page.ts";
import { linePlot, type PlotPoint, type Series } from "./plots.ts";
import type { FlatRow, SpeedRow, Summary } from "./summary.ts";

export function speedSection(summary: Summary): Section {
  const rows = summary.speed;
  const title = "Speed and memory of a training step";
  if (rows.length === 0) return { id: "speed", title, body: "" };
  const contexts = [...new Set(rows.map(({ context }) => context))].sort((a, b) => a - b);
  const tokens = summary.settings.tokens;
  const parts = [
    paragraph(
      `A step is forward pass, backward pass, clipping and AdamW, at ${whole(tokens)} tokens a step; a context beyond that is one example of its length. Times are medians over rounds (quartiles in brackets); ratios are taken round by round. Arithmetic counts matrix products only, as longhand models does.`,
    ),
    ...(contexts.length > 1 ? plots(rows, contexts) : []),
    ratioTable(rows, contexts),
    timeTable(rows),
  ];
  return { id: "speed", title, body: parts.join("\n") };
}

function plots(rows: readonly SpeedRow[], contexts: readonly number[]): string[] {
  const series = (point: (row: SpeedRow) => PlotPoint | undefined): Series[] =>
    modelsOf(rows).map((model) => ({
      label: labelOf(model),
      look: model,
      points: rows
        .filter((row) => row.model === model)
        .map(point)
        .filter((each) => each !== undefined)
        .sort((a, b) => a.x - b.x),
    }));
  const x = { label: "context (tokens)", log: true, ticks: contexts };
  const time = series(({ context, microsecondsPerToken: value }) =>
    value === null ? undefined : { x: context, y: value.median, low: value.low, high: value.high },
  );
  const ratio = series(({ model, context, timesAsFast: value }) =>
    value === null || model === REFERENCE
      ? undefined
      : { x: context, y: value.median, low: value.low, high: value.high },
  );
  const flash = rows.filter(({ model, arithmeticRatio }) => model === "flash" && arithmeticRatio !== null);
  const arithmetic: Series = {
    label: "FLASH, arithmetic",
    look: "flash",
    faint: true,
    points: flash.map((row) => ({ x: row.context, y: row.arithmeticRatio ?? Number.NaN })).sort((a, b) => a.x - b.x),
  };
  const memory = series(({ context, peakBytes }) =>
    peakBytes === null ? undefined : { x: context, y: peakBytes / 1e9 },
  );
  const made = [
    figure(
      linePlot({ title: "Time per token against the context", series: time, x, y: { label: "µs a token", log: true } }),
      "Training time per token. Bars are quartiles.",
    ),
  ];
  if (ratio.some(({ points }) => points.length > 0)) {
    made.push(
      figure(
        linePlot({
          title: "How many times as fast as Transformer++",
          series: [...ratio, ...(arithmetic.points.length > 1 ? [arithmetic] : [])],
          x,
          y: { label: "times as fast as Transformer++", log: true },
          level: { y: 1, label: "" },
        }),
        "Speed of a training step against Transformer++'s (the dashed line at 1) at the same context. The dotted line is what the counts of arithmetic alone would give FLASH.",
      ),
    );
  }
  made.push(
    figure(
      linePlot({
        title: "Peak memory against the context",
        series: memory,
        x,
        y: { label: "peak memory (GB)", log: true },
      }),
      "Largest resident size of the process that trains.",
    ),
  );
  return made;
}

function modelsOf(rows: readonly SpeedRow[]): string[] {
  return [...new Set(rows.map(({ model }) => model))];
}

/** How many times as fast as Transformer++, a model a row and a context a column. */
function ratioTable(rows: readonly SpeedRow[], contexts: readonly number[]): string {
  const of = (model: string, context: number) => rows.find((row) => row.model === model && row.context === context);
  const models = modelsOf(rows).filter((model) => model !== REFERENCE);
  const head = { head: "", cell: (model: string) => labelOf(model) };
  const columns = contexts.map((context) => ({
    head: whole(context),
    number: true,
    cell: (model: string) => spreadText(of(model, context)?.timesAsFast ?? null, ratioText),
  }));
  return table("Times as fast as Transformer++, by context", [head, ...columns], models);
}

function timeTable(rows: readonly SpeedRow[]): string {
  const sorted = [...rows].sort((a, b) => a.context - b.context || a.model.localeCompare(b.model));
  return table(
    "Every measurement. Recomputed: activations of each layer are computed again in the backward pass.",
    [
      { head: "context, model", cell: (row) => `${whole(row.context)} ${labelOf(row.model)}` },
      { head: "examples", cell: (row) => whole(row.batch), number: true },
      { head: "ms a step", cell: (row) => spreadText(row.milliseconds), number: true },
      {
        head: "µs a token",
        cell: (row) => (row.microsecondsPerToken ? significant(row.microsecondsPerToken.median) : "–"),
        number: true,
      },
      { head: "MFLOP a token", cell: (row) => significant(row.megaflopsPerToken), number: true },
      {
        head: "GFLOP/s",
        cell: (row) => (row.gigaflopsPerSecond === null ? "–" : significant(row.gigaflopsPerSecond)),
        number: true,
      },
      { head: "memory", cell: (row) => bytesText(row.peakBytes), number: true },
      { head: "rounds", cell: (row) => String(row.milliseconds?.rounds ?? 0), number: true },
      { head: "note", cell: noteOf },
    ],
    sorted,
  );
}

function noteOf({ failure, recompute, recomputeReason }: SpeedRow): string {
  if (failure !== null) return failure;
  return recompute === "none" ? "" : `recomputed: ${recomputeReason ?? "as planned"}`;
}

export function flatSection({ flat }: Summary): Section {
  const title = "FLASH's time per token does not depend on the context";
  if (flat.length === 0) return { id: "flat", title: "", body: "" };
  const rows = [...flat].sort((a, b) => a.context - b.context);
  const measured = rows.filter((row) => row.microsecondsPerToken !== null);
  const spread = largestRatio(rows);
  const kept = spread !== null && spread <= 1.05;
  const heading = spread === null || kept ? title : "FLASH's time per token against the context";
  const points = measured.map(({ context, microsecondsPerToken: value }) => ({
    ...{ x: context, y: value?.median ?? Number.NaN, low: value?.low ?? Number.NaN, high: value?.high ?? Number.NaN },
  }));
  const body = [
    paragraph(
      `FLASH alone, always ${whole(rows[0].tokens)} tokens a step, from ${whole(rows[0].context)} to ${whole(rows[rows.length - 1].context)} of context.`,
    ),
    figure(
      linePlot({
        title: "FLASH: time per token against the context",
        series: [{ label: "FLASH", look: "flash", points }],
        x: { label: "context (tokens)", log: true, ticks: rows.map(({ context }) => context) },
        y: { label: "µs a token", log: false, fromZero: true },
      }),
      "Training time per token; the axis begins at zero.",
    ),
    table(
      "FLASH at a fixed number of tokens a step, against its shortest context",
      [
        { head: "context", cell: (row: FlatRow) => whole(row.context) },
        { head: "µs a token", cell: (row) => spreadText(row.microsecondsPerToken), number: true },
        { head: "time", cell: (row) => spreadText(row.timeRatio, (value) => value.toFixed(3)), number: true },
        { head: "memory", cell: (row) => bytesText(row.peakBytes), number: true },
        { head: "memory ratio", cell: (row) => row.memoryRatio?.toFixed(3) ?? "–", number: true },
        { head: "note", cell: (row) => row.failure ?? (row.recompute === "none" ? "" : "recomputed") },
      ],
      rows,
    ),
  ];
  return { id: "flat", title: heading, body: body.join("\n") };
}

/** The slowest context's time per token over the fastest's, by medians. */
export function largestRatio(rows: readonly FlatRow[]): number | null {
  const medians = rows.map((row) => row.microsecondsPerToken?.median).filter((value) => value !== undefined);
  return medians.length < 2 ? null : Math.max(...medians) / Math.min(...medians);
}
