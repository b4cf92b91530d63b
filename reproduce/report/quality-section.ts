/** What the trained models say in the report: perplexity against steps and time, speed-up at equal quality, use of context. */
import { labelOf, REFERENCE } from "../architectures.ts";
import { perplexityText, ratioText, secondsText, significant, spreadText, whole } from "./format.ts";
import { figure, paragraph, type Section, table } from "./page.ts";
import { linePlot, type Series } from "./plots.ts";
import type { QualityRow, Summary } from "./summary.ts";

interface Group {
  readonly objective: string;
  readonly context: number;
  readonly rows: readonly QualityRow[];
}

function groupsOf(rows: readonly QualityRow[]): Group[] {
  const groups = new Map<string, Group>();
  for (const row of rows) {
    const key = `${row.objective} ${row.context}`;
    const { objective, context } = row;
    groups.set(key, { objective, context, rows: [...(groups.get(key)?.rows ?? []), row] });
  }
  return [...groups.values()].sort((a, b) => a.objective.localeCompare(b.objective) || a.context - b.context);
}

const nameOfGroup = ({ objective, context }: Pick<Group, "objective" | "context">) =>
  `${objective}, context ${whole(context)}`;

export function qualitySection(summary: Summary): Section {
  const title = "Quality: perplexity against steps and time";
  const groups = groupsOf(summary.quality);
  if (groups.length === 0) return { id: "quality", title, body: "" };
  const { lr, evalTokens } = summary.settings;
  const body = [
    paragraph(
      `Every model is matched in parameters and learns the same batches of the same text, ${whole(summary.settings.qualityTokens)} tokens a step (a longer context: one example). Held-out perplexity a token${hasMasked(groups) ? ", of masked models over the masked tokens" : ""}; time is training alone, evaluation left out. Learning rates of the grid: ${lr.join(", ")}; each model is shown at its best, and those whose rates were not tried take the best of FLASH or Transformer++, whichever is their kin. A point of a curve is taken over ${whole(evalTokens)} tokens, the final perplexity over up to four times that.`,
    ),
    ...groups.flatMap((group) => [`<h3>${heading(group)}</h3>`, curves(group), qualityTable(group)]),
    speedUpTable(summary),
  ];
  return { id: "quality", title, body: body.join("\n") };
}

const hasMasked = (groups: readonly Group[]) => groups.some(({ objective }) => objective === "masked");

function heading(group: Group): string {
  const name = nameOfGroup(group);
  return name.charAt(0).toUpperCase() + name.slice(1);
}

function curves({ rows, ...group }: Group): string {
  const series = (x: "step" | "seconds"): Series[] =>
    rows.map(({ model, curve }) => ({
      ...{ label: labelOf(model), look: model },
      points: curve.map((point) => ({ x: point[x], y: point.perplexity })),
    }));
  const target = rows.find(({ model }) => model === REFERENCE)?.curve.at(-1)?.perplexity;
  const plot = (x: "step" | "seconds", label: string) =>
    linePlot({
      title: `Held-out perplexity against ${label}, ${nameOfGroup(group)}`,
      series: series(x),
      x: { label, log: false },
      y: { label: "held-out perplexity", log: true },
      ...(target === undefined || x === "step" ? {} : { level: { y: target, label: "Transformer++'s last" } }),
      width: 520,
    });
  const [steps, seconds] = [plot("step", "steps"), plot("seconds", "seconds of training")];
  return `<div class="pair">${figure(steps, "Against steps.")}${figure(seconds, "Against the time of training.")}</div>`;
}

function qualityTable(group: Group): string {
  const reference = group.rows.find(({ model }) => model === REFERENCE)?.perplexity ?? null;
  const masked = group.objective === "masked";
  return table(
    `After ${whole(group.rows[0].steps)} steps of ${whole(group.rows[0].tokensPerStep)} tokens: ${nameOfGroup(group)}`,
    [
      { head: "", cell: (row: QualityRow) => labelOf(row.model) },
      {
        head: "perplexity",
        cell: (row) => (row.failure === null ? perplexityText(row.perplexity) : "failed"),
        number: true,
      },
      {
        head: "against Transformer++",
        cell: (row) => (row.perplexity === null || reference === null ? "–" : percent(row.perplexity / reference)),
        number: true,
      },
      ...(masked
        ? [
            {
              head: "accuracy",
              cell: (row: QualityRow) => (row.accuracy === null ? "–" : `${(100 * row.accuracy).toFixed(1)} %`),
              number: true,
            },
          ]
        : []),
      { head: "parameters", cell: (row) => `${(row.parameters / 1e6).toFixed(2)} M`, number: true },
      { head: "learning rate", cell: (row) => String(row.lr), number: true },
      { head: "rates tried (perplexity)", cell: ratesText },
      { head: "ms a step", cell: (row) => spreadText(row.stepMilliseconds), number: true },
      { head: "training", cell: (row) => secondsText(row.trainingSeconds), number: true },
      { head: "note", cell: (row) => row.failure ?? (row.recompute === "none" ? "" : "recomputed") },
    ],
    group.rows,
  );
}

function percent(ratio: number): string {
  return `${ratio >= 1 ? "+" : "−"}${Math.abs(100 * (ratio - 1)).toFixed(1)} %`;
}

function ratesText({ rates }: QualityRow): string {
  if (rates.length < 2) return "";
  return rates.map(({ lr, loss }) => `${lr}: ${loss === null ? "failed" : perplexityText(Math.exp(loss))}`).join(", ");
}

function speedUpTable({ speedUps }: Summary): string {
  if (speedUps.length === 0) return "";
  return table(
    "Speed-up by the paper's definition: Transformer++'s training time over the time in which a model reaches Transformer++'s last perplexity (straight lines between evaluations), by the best of its schedules",
    [
      { head: "", cell: (row) => labelOf(row.model) },
      { head: "trained", cell: (row) => nameOfGroup(row) },
      { head: "perplexity to reach", cell: (row) => perplexityText(row.targetPerplexity), number: true },
      { head: "Transformer++", cell: (row) => secondsText(row.referenceSeconds), number: true },
      {
        head: "time needed",
        cell: (row) => (row.seconds === null ? "not reached" : secondsText(row.seconds)),
        number: true,
      },
      {
        head: "step",
        cell: (row) => (row.steps === null ? "–" : `${significant(row.steps)} of ${row.ofSteps}`),
        number: true,
      },
      {
        head: "speed-up",
        cell: (row) => (row.speedUp === null ? "–" : `${ratioText(row.speedUp)} times`),
        number: true,
      },
    ],
    speedUps,
  );
}

export function contextUseSection(summary: Summary): Section {
  const title = "Use of context: perplexity by position";
  const causal = groupsOf(summary.quality).filter(({ objective }) => objective === "causal");
  const group = causal.at(-1);
  const rows = group?.rows.filter(({ byPosition }) => byPosition.length > 2) ?? [];
  if (group === undefined || rows.length === 0) return { id: "context-use", title, body: "" };
  const series = rows.map(({ model, byPosition }) => ({
    ...{ label: labelOf(model), look: model },
    points: byPosition.map(({ from, to, perplexity }) => ({ x: (from + to) / 2, y: perplexity })),
  }));
  const ranges = rows[0].byPosition;
  const body = [
    paragraph(
      `A model that uses its context predicts later tokens better: perplexity of the held-out tokens by how many tokens of the window come before them, for the models trained at a context of ${whole(group.context)}.`,
    ),
    figure(
      linePlot({
        title: "Perplexity by position in the context",
        series,
        x: { label: "position in the context", log: true, ticks: ranges.map(({ to }) => to) },
        y: { label: "held-out perplexity", log: true },
      }),
      `Ranges of positions that double, ${nameOfGroup(group)}.`,
    ),
    table(
      "Perplexity by range of positions",
      [
        { head: "positions", cell: (range) => `${whole(range.from)}–${whole(range.to - 1)}` },
        { head: "tokens", cell: (range) => whole(range.tokens), number: true },
        ...rows.map((row) => ({
          head: labelOf(row.model),
          cell: (range: QualityRow["byPosition"][number]) =>
            perplexityText(row.byPosition.find(({ from }) => from === range.from)?.perplexity ?? null),
          number: true,
        })),
      ],
      ranges,
    ),
  ];
  return { id: "context-use", title, body: body.join("\n") };
}
