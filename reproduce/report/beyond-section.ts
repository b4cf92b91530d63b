/** What the trained models say far beyond the context of their training: perplexity against position. */
import { labelOf } from "../architectures.ts";
import { perplexityText, whole } from "./format.ts";
import { type Column, figure, paragraph, type Section, table } from "./page.ts";
import type { LinePlot } from "./plots.ts";
import type { QualityRow } from "./quality-summary.ts";
import type { Summary } from "./summary.ts";

type Beyond = NonNullable<QualityRow["beyond"]>;
type BeyondRow = QualityRow & { readonly beyond: Beyond };

const rowsOf = ({ quality }: Summary) =>
  quality.filter((row): row is BeyondRow => row.beyond !== undefined && row.loss !== null);

/** Undefined where no model has read a window longer than its context. */
export function beyondPlot(summary: Summary): LinePlot | undefined {
  const rows = rowsOf(summary);
  if (!rows.some(({ beyond }) => beyond.windows.length > 1)) return undefined;
  const longest = Math.max(...windowsOf(rows));
  const series = rows.map(({ model, beyond }) => ({
    ...{ label: labelOf(model), look: model },
    points: beyond.byPosition.map(({ from, to, perplexity }) => ({ x: (from + to) / 2, y: perplexity })),
  }));
  const ticks = Array.from({ length: Math.floor(Math.log2(longest)) - 4 }, (_, i) => 2 ** (i + 4));
  return {
    ...{ title: `Held-out perplexity against position, up to ${whole(longest)} tokens`, series },
    x: { label: "position", log: true, ticks: ticks.length > 9 ? ticks.filter((_, i) => i % 2 === 1) : ticks },
    y: { label: "held-out perplexity", log: true },
    marks: [{ x: rows[0].context, label: "training context" }],
  };
}

/** In ascending order. */
function windowsOf(rows: readonly BeyondRow[]): number[] {
  const windows = new Set(rows.flatMap(({ beyond }) => beyond.windows.map(({ window }) => window)));
  return [...windows].sort((a, b) => a - b);
}

export function beyondSection(summary: Summary): Section {
  const about = { id: "beyond", title: "Beyond the training context: perplexity against position" };
  const plot = beyondPlot(summary);
  if (!plot) return { ...about, parts: [] };
  const rows = rowsOf(summary);
  const { context } = rows[0];
  const windows = windowsOf(rows);
  const parts = [
    paragraph(
      `The models that were trained at a context of ${whole(context)} read the held-out text in longer windows than they have ever seen. A model that is to go on with a text of any length must not become worse with the position. Windows of every length, those of the training too, are read over the same tokens of the text. A range of positions is taken from the shortest window that has it, which stands at the most places of the text; a longer window has fewer, so neighbouring ranges differ a little by the text alone, for all models alike. What could not be read so far is listed under “${LEFT_OUT}”.`,
    ),
    figure(plot, `Ranges of positions that double, trained at ${whole(context)}.`),
    table("Held-out perplexity in windows of so many tokens, each from its first token to its last", rows, [
      ["", ({ model }) => labelOf(model)],
      ...windows.map((window): Column<BeyondRow> => {
        const own = ({ beyond }: BeyondRow) => beyond.windows.find((each) => each.window === window);
        return [`#${whole(window)}`, (row) => perplexityText(own(row)?.perplexity ?? null)];
      }),
    ]),
    positionsTable(rows),
  ];
  return { ...about, parts };
}

/** The title of the section that lists what could not be read. */
export const LEFT_OUT = "What was left out or did not fit";

function positionsTable(rows: readonly BeyondRow[]): string {
  const farthest = rows.reduce((far, row) => (row.beyond.byPosition.length > far.beyond.byPosition.length ? row : far));
  const ranges = farthest.beyond.byPosition;
  return table("Perplexity by range of positions, as in the plot", ranges, [
    ["positions", ({ from, to }) => `${whole(from)}–${whole(to - 1)}`],
    ["#windows of", ({ window }) => whole(window)],
    ["#tokens", ({ tokens }) => whole(tokens)],
    ...rows.map(
      ({ model, beyond }): Column<(typeof ranges)[number]> => [
        `#${labelOf(model)}`,
        ({ from }) => perplexityText(beyond.byPosition.find((range) => range.from === from)?.perplexity ?? null),
      ],
    ),
  ]);
}
