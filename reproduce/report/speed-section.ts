/**
 * Speed and memory in the report: every architecture against the context, and FLASH alone at a fixed number of tokens.
 */
import { labelOf, REFERENCE } from "../architectures.ts";
import type { Spread } from "../statistics.ts";
import { bytesText, orDash, ratioText, significant, spreadText, whole } from "./format.ts";
import { type Column, figure, paragraph, type Section, table } from "./page.ts";
import type { PlotPoint, Series } from "./plots.ts";
import type { FlatRow, SpeedRow, Summary } from "./summary.ts";

export function speedSection({ speed: rows, settings }: Summary): Section {
  const contexts = [...new Set(rows.map(({ context }) => context))].sort((a, b) => a - b);
  const intro = `A step is forward pass, backward pass, clipping and the optimiser's update, at ${whole(settings.tokens)} tokens a step; a context beyond that is one example of its length. Times are medians over rounds (quartiles in brackets); ratios are taken round by round. Arithmetic counts matrix products only, as longhand models does.`;
  return {
    ...{ id: "speed", title: "Speed and memory of a training step" },
    parts:
      rows.length === 0
        ? []
        : [
            paragraph(intro),
            ...(contexts.length > 1 ? plots(rows, contexts) : []),
            ratioTable(rows, contexts),
            timeTable(rows),
          ],
  };
}

function plots(rows: readonly SpeedRow[], contexts: readonly number[]): string[] {
  const pointsOf = (
    own: readonly SpeedRow[],
    point: (row: SpeedRow) => Omit<PlotPoint, "x"> | undefined,
  ): PlotPoint[] =>
    own
      .flatMap((row) => {
        const found = point(row);
        return found === undefined ? [] : [{ x: row.context, ...found }];
      })
      .sort((a, b) => a.x - b.x);
  const series = (point: (row: SpeedRow) => Omit<PlotPoint, "x"> | undefined): Series[] =>
    modelsOf(rows).map((model) => ({
      ...{ label: labelOf(model), look: model },
      points: pointsOf(
        rows.filter((row) => row.model === model),
        point,
      ),
    }));
  const arithmetic: Series = {
    ...{ label: "FLASH, arithmetic", look: "flash", faint: true },
    points: pointsOf(
      rows.filter(({ model }) => model === "flash"),
      ({ arithmeticRatio }) => (arithmeticRatio === null ? undefined : { y: arithmeticRatio }),
    ),
  };
  const ratio = series(({ model, timesAsFast }) => (model === REFERENCE ? undefined : withQuartiles(timesAsFast)));
  const memory = series(({ peakBytes }) => (peakBytes === null ? undefined : { y: peakBytes / 1e9 }));
  const x = { label: "context (tokens)", log: true, ticks: contexts };
  const plot = (title: string, label: string, own: readonly Series[]) => ({
    ...{ title, series: own, x, y: { label, log: true } },
  });
  const time = series(({ microsecondsPerToken }) => withQuartiles(microsecondsPerToken));
  return [
    figure(
      plot("Time per token against the context", "µs a token", time),
      "Training time per token. Bars are quartiles.",
    ),
    ...(ratio.some(({ points }) => points.length > 0)
      ? [
          figure(
            {
              ...plot("How many times as fast as Transformer++", "times as fast as Transformer++", [
                ...ratio,
                ...(arithmetic.points.length > 1 ? [arithmetic] : []),
              ]),
              level: { y: 1, label: "" },
            },
            "Speed of a training step against Transformer++'s (the dashed line at 1) at the same context. The dotted line is what the counts of arithmetic alone would give FLASH.",
          ),
        ]
      : []),
    figure(
      plot("Peak memory against the context", "peak memory (GB)", memory),
      "Largest resident size of the process that trains.",
    ),
  ];
}

const withQuartiles = (value: Spread | null) =>
  value ? { y: value.median, low: value.low, high: value.high } : undefined;

function modelsOf(rows: readonly SpeedRow[]): string[] {
  return [...new Set(rows.map(({ model }) => model))];
}

/** How many times as fast as Transformer++, a model a row and a context a column. */
function ratioTable(rows: readonly SpeedRow[], contexts: readonly number[]): string {
  const of = (model: string, context: number) => rows.find((row) => row.model === model && row.context === context);
  const models = modelsOf(rows).filter((model) => model !== REFERENCE);
  return table("Times as fast as Transformer++, by context", models, [
    ["", labelOf],
    ...contexts.map(
      (context): Column<string> => [
        `#${whole(context)}`,
        (model) => spreadText(of(model, context)?.timesAsFast ?? null, ratioText),
      ],
    ),
  ]);
}

function timeTable(rows: readonly SpeedRow[]): string {
  const sorted = [...rows].sort((a, b) => a.context - b.context || a.model.localeCompare(b.model));
  return table(
    "Every measurement. Recomputed: activations of each layer are computed again in the backward pass.",
    sorted,
    [
      ["context, model", (row) => `${whole(row.context)} ${labelOf(row.model)}`],
      ["#examples", (row) => whole(row.batch)],
      ["#ms a step", (row) => spreadText(row.milliseconds)],
      ["#µs a token", (row) => orDash(row.microsecondsPerToken, ({ median }) => significant(median))],
      ["#MFLOP a token", (row) => significant(row.megaflopsPerToken)],
      ["#GFLOP/s", (row) => orDash(row.gigaflopsPerSecond, significant)],
      ["#memory", (row) => bytesText(row.peakBytes)],
      ["#rounds", (row) => String(row.milliseconds?.rounds ?? 0)],
      ["note", noteOf],
    ],
  );
}

function noteOf({ failure, recompute, recomputeReason }: SpeedRow): string {
  if (failure !== null) return failure;
  return recompute === "none" ? "" : `recomputed: ${recomputeReason ?? "as planned"}`;
}

export function flatSection({ flat }: Summary): Section {
  const rows = [...flat].sort((a, b) => a.context - b.context);
  const spread = largestRatio(rows);
  const kept = spread === null || spread <= 1.05;
  const title = `FLASH's time per token ${kept ? "does not depend on" : "against"} the context`;
  if (rows.length === 0) return { id: "flat", title, parts: [] };
  const points = rows.flatMap(({ context, microsecondsPerToken }) => {
    const found = withQuartiles(microsecondsPerToken);
    return found ? [{ x: context, ...found }] : [];
  });
  const parts = [
    paragraph(
      `FLASH alone, always ${whole(rows[0].tokens)} tokens a step, from ${whole(rows[0].context)} to ${whole(rows[rows.length - 1].context)} of context.`,
    ),
    figure(
      {
        title: "FLASH: time per token against the context",
        series: [{ label: "FLASH", look: "flash", points }],
        x: { label: "context (tokens)", log: true, ticks: rows.map(({ context }) => context) },
        y: { label: "µs a token", log: false, fromZero: true },
      },
      "Training time per token; the axis begins at zero.",
    ),
    table("FLASH at a fixed number of tokens a step, against its shortest context", rows, [
      ["context", (row) => whole(row.context)],
      ["#µs a token", (row) => spreadText(row.microsecondsPerToken)],
      ["#time", (row) => spreadText(row.timeRatio, (value) => value.toFixed(3))],
      ["#memory", (row) => bytesText(row.peakBytes)],
      ["#memory ratio", (row) => orDash(row.memoryRatio, (ratio) => ratio.toFixed(3))],
      ["note", (row) => row.failure ?? (row.recompute === "none" ? "" : "recomputed")],
    ]),
  ];
  return { id: "flat", title, parts };
}

/** The slowest context's time per token over the fastest's, by medians. */
export function largestRatio(rows: readonly FlatRow[]): number | null {
  const medians = rows.map((row) => row.microsecondsPerToken?.median).filter((value) => value !== undefined);
  return medians.length < 2 ? null : Math.max(...medians) / Math.min(...medians);
}
