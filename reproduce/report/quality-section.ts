/**
 * What the trained models say in the report: perplexity against steps and time, speed-up at equal quality, use of
 * context.
 */
import { labelOf, REFERENCE } from "../architectures.ts";
import { grouped } from "../statistics.ts";
import {
  differenceText,
  orDash,
  orNothing,
  perplexityText,
  ratioText,
  secondsText,
  significant,
  spreadText,
  whole,
} from "./format.ts";
import { type Column, figure, paragraph, type Section, table } from "./page.ts";
import type { LinePlot } from "./plots.ts";
import type { QualityRow } from "./quality-summary.ts";
import type { Summary } from "./summary.ts";

interface Group {
  readonly objective: string;
  readonly context: number;
  readonly rows: readonly QualityRow[];
}

function groupsOf(rows: readonly QualityRow[]): Group[] {
  return grouped(rows, nameOfGroup)
    .map((own) => ({ objective: own[0].objective, context: own[0].context, rows: own }))
    .sort((a, b) => a.objective.localeCompare(b.objective) || a.context - b.context);
}

function nameOfGroup({ objective, context }: Pick<Group, "objective" | "context">): string {
  return `${objective}, context ${whole(context)}`;
}

export function qualitySection({ quality, settings, speedUps }: Summary): Section {
  const groups = groupsOf(quality);
  const { lr, evalTokens, qualityTokens } = settings;
  const masked = groups.some(({ objective }) => objective === "masked")
    ? ", of masked models over the masked tokens"
    : "";
  const several = quality.some(({ runs }) => runs.length > 1)
    ? " Where a model was trained from several seeds, a figure is their mean, ± their standard deviation, and lines at the points of a curve reach from the lowest to the highest; rates were chosen with the first seed."
    : "";
  const intro = `Every model is matched in parameters and learns the same batches of the same text, ${whole(qualityTokens)} tokens a step (a longer context: one example). Held-out perplexity a token${masked}; time is training alone, evaluation left out. Learning rates of the grid: ${lr.join(", ")}; each model is shown at its best, and those whose rates were not tried take the best of FLASH or Transformer++, whichever is their kin. A point of a curve is taken over ${whole(evalTokens)} tokens, the final perplexity over up to four times that.${several}`;
  return {
    ...{ id: "quality", title: "Quality: perplexity against steps and time" },
    parts:
      groups.length === 0
        ? []
        : [
            paragraph(intro),
            ...groups.flatMap((group) => [`<h3>${heading(group)}</h3>`, curves(group), qualityTable(group)]),
            speedUps.length === 0 ? "" : speedUpTable(speedUps),
          ],
  };
}

function heading(group: Group): string {
  const name = nameOfGroup(group);
  return name.charAt(0).toUpperCase() + name.slice(1);
}

/** Perplexity against the time of training, for each objective and context, by the name of a file. */
export function timePlots({ quality }: Summary): ReadonlyMap<string, LinePlot> {
  const named = groupsOf(quality).map(
    (group) => [`quality-${group.objective}-${group.context}`, timePlot(group)] as const,
  );
  return new Map(named);
}

function curves(group: Group): string {
  const steps = figure(curvePlot(group, "step", "steps"), "Against steps.");
  return `<div class="pair">${steps}${figure(timePlot(group), "Against the time of training.")}</div>`;
}

function timePlot(group: Group): LinePlot {
  const target = group.rows.find(({ model }) => model === REFERENCE)?.curve.at(-1)?.perplexity;
  const level = target === undefined ? {} : { level: { y: target, label: "Transformer++'s last" } };
  return { ...curvePlot(group, "seconds", "seconds of training"), ...level };
}

function curvePlot({ rows, ...group }: Group, x: "step" | "seconds", label: string): LinePlot {
  return {
    title: `Held-out perplexity against ${label}, ${nameOfGroup(group)}`,
    series: rows.map(({ model, curve, runs }) => ({
      ...{ label: labelOf(model), look: model },
      points: curve.map((point) => ({ x: point[x], y: point.perplexity, ...rangeOf(runs, point) })),
    })),
    x: { label, log: false },
    y: { label: "held-out perplexity", log: true },
    width: 520,
  };
}

/** The lowest and highest of several seeds. */
function rangeOf({ length }: QualityRow["runs"], { lowest, highest }: QualityRow["curve"][number]) {
  return length > 1 ? { low: lowest, high: highest } : {};
}

/** The columns that tables of trained models have in common. */
export const perplexityColumn: Column<QualityRow> = [
  "#perplexity",
  ({ failure, perplexity, deviation }) =>
    failure === null
      ? `${perplexityText(perplexity)}${orNothing(deviation, (own) => ` ± ${significant(own)}`)}`
      : "failed",
];
export const parametersColumn: Column<QualityRow> = [
  "#parameters",
  ({ parameters }) => `${(parameters / 1e6).toFixed(2)} M`,
];
export const stepColumn: Column<QualityRow> = ["#ms a step", ({ stepMilliseconds }) => spreadText(stepMilliseconds)];

export function againstColumn(name: string, reference: number | null | undefined): Column<QualityRow> {
  return [
    `#against ${name}`,
    ({ perplexity }) => orDash(perplexity && reference ? perplexity / reference : null, differenceText),
  ];
}

function qualityTable(group: Group): string {
  const [first] = group.rows;
  const reference = group.rows.find(({ model }) => model === REFERENCE)?.perplexity;
  const accuracy: Column<QualityRow> = [
    "#accuracy",
    (row) => orDash(row.accuracy, (share) => `${(100 * share).toFixed(1)} %`),
  ];
  return table(
    `After ${whole(first.steps)} steps of ${whole(first.tokensPerStep)} tokens: ${nameOfGroup(group)}`,
    group.rows,
    [
      ["", (row) => labelOf(row.model)],
      perplexityColumn,
      againstColumn("Transformer++", reference),
      ...(group.objective === "masked" ? [accuracy] : []),
      parametersColumn,
      ["#learning rate", (row) => String(row.lr)],
      ["rates tried (perplexity)", ratesText],
      stepColumn,
      ["#training", (row) => secondsText(row.trainingSeconds)],
      ["note", (row) => row.failure ?? (row.recompute === "none" ? "" : "recomputed")],
    ],
  );
}

function ratesText({ rates }: QualityRow): string {
  if (rates.length < 2) return "";
  return rates.map(({ lr, loss }) => `${lr}: ${loss === null ? "failed" : perplexityText(Math.exp(loss))}`).join(", ");
}

/** Of several seeds. */
function rangeText({ seeds, lowest, highest }: Summary["speedUps"][number]): string {
  return seeds < 2 || lowest === null || highest === null ? "" : ` (${ratioText(lowest)}–${ratioText(highest)})`;
}

function speedUpTable(speedUps: Summary["speedUps"]): string {
  return table(
    "Speed-up by the paper's definition: Transformer++'s training time over the time in which a model reaches Transformer++'s last perplexity (straight lines between evaluations), by the best of its schedules",
    speedUps,
    [
      ["", (row) => labelOf(row.model)],
      ["trained", nameOfGroup],
      ["#perplexity to reach", (row) => perplexityText(row.targetPerplexity)],
      ["#Transformer++", (row) => secondsText(row.referenceSeconds)],
      ["#time needed", (row) => (row.seconds === null ? "not reached" : secondsText(row.seconds))],
      ["#step", (row) => orDash(row.steps, (steps) => `${significant(steps)} of ${row.ofSteps}`)],
      ["#speed-up", (row) => orDash(row.speedUp, (ratio) => `${ratioText(ratio)}${rangeText(row)} times`)],
    ],
  );
}

export function contextUseSection({ quality }: Summary): Section {
  const about = { id: "context-use", title: "Use of context: perplexity by position" };
  const group = groupsOf(quality).findLast(({ objective }) => objective === "causal");
  const rows = group?.rows.filter(({ byPosition }) => byPosition.length > 2) ?? [];
  if (group === undefined || rows.length === 0) return { ...about, parts: [] };
  const ranges = rows[0].byPosition;
  const series = rows.map(({ model, byPosition }) => ({
    ...{ label: labelOf(model), look: model },
    points: byPosition.map(({ from, to, perplexity }) => ({ x: (from + to) / 2, y: perplexity })),
  }));
  const parts = [
    paragraph(
      `A model that uses its context predicts later tokens better: perplexity of the held-out tokens by how many tokens of the window come before them, for the models trained at a context of ${whole(group.context)}.`,
    ),
    figure(
      {
        ...{ title: "Perplexity by position in the context", series },
        x: { label: "position in the context", log: true, ticks: ranges.map(({ to }) => to) },
        y: { label: "held-out perplexity", log: true },
      },
      `Ranges of positions that double, ${nameOfGroup(group)}.`,
    ),
    table("Perplexity by range of positions", ranges, [
      ["positions", ({ from, to }) => `${whole(from)}–${whole(to - 1)}`],
      ["#tokens", ({ tokens }) => whole(tokens)],
      ...rows.map(
        ({ model, byPosition }): Column<(typeof ranges)[number]> => [
          `#${labelOf(model)}`,
          ({ from }) => perplexityText(byPosition.find((range) => range.from === from)?.perplexity ?? null),
        ],
      ),
    ]),
  ];
  return { ...about, parts };
}
