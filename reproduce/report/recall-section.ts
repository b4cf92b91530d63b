/** Recall over a distance in the report: for each task accuracy against distance, as a plot and a table. */
import { labelOf } from "../architectures.ts";
import { CHANCE, PAIRS, PASSAGE, type RecallTaskName, recallTaskNames } from "../recall-windows.ts";
import { variantLabel } from "../variants.ts";
import { whole } from "./format.ts";
import { type Column, figure, paragraph, type Section, table } from "./page.ts";
import type { RecallRow } from "./recall-summary.ts";
import type { Summary } from "./summary.ts";

const titles: Readonly<Record<RecallTaskName, string>> = {
  name: "a name",
  pairs: "key–value pairs",
  copy: "a passage",
};

export function recallSection({ recall: rows }: Summary): Section {
  const about = { id: "recall", title: "Recall over a distance" };
  if (rows.length === 0) return { ...about, parts: [] };
  const [{ context, steps, tokensPerStep }] = rows;
  const seeds = Math.max(...rows.map((row) => row.seeds));
  const parts = [
    paragraph(
      `What a model still knows of what it read N tokens ago. In texts made from a seed, among filler, a name is told and asked for; ${PAIRS} keys get values, and a key is asked for its value (multi-query associative recall, Arora et al. 2023, “Zoology”, arXiv 2312.04927); passages of ${PASSAGE} symbols are copied. Nothing but the memory of them tells the answers: ${percent(CHANCE)} are right by chance, and up to ${percent(1 / PAIRS)} where a model knows what was said, but not to which key it belongs.`,
    ),
    paragraph(
      `Models of preset nano, ${whole(steps)} steps of ${whole(tokensPerStep)} tokens in windows of ${whole(context)}, in which distances are drawn evenly by their logarithm, FLASH and Transformer++ at the better of two learning rates, the others at that of their kin; then asked in windows long enough for each distance. ${seeds > 1 ? `All seeds together (${seeds}); bars from the lowest to the highest.` : "One seed."}`,
    ),
    ...recallTaskNames.flatMap((task) => taskParts(rows, task)),
  ];
  return { ...about, parts };
}

function taskParts(rows: readonly RecallRow[], task: RecallTaskName): string[] {
  const own = rows.map((row) => ({ row, points: row.points.filter((point) => point.task === task) }));
  const distances = [...new Set(own.flatMap(({ points }) => points.map(({ distance }) => distance)))];
  const ascending = distances.sort((a, b) => a - b);
  const { context } = rows[0];
  const series = own.map(({ row, points }, i) => ({
    ...{ label: row.ablation ?? labelOf(row.model), look: row.model, form: row.ablation === null ? 0 : i },
    points: points.map(({ distance, accuracy, lowest, highest }) => ({
      ...{ x: distance, y: 100 * accuracy },
      ...(row.seeds > 1 ? { low: 100 * lowest, high: 100 * highest } : {}),
    })),
  }));
  const at = ({ points }: RecallRow, distance: number) =>
    points.find((point) => point.task === task && point.distance === distance);
  return [
    figure(
      {
        ...{ title: `Recall of ${titles[task]}: accuracy against distance`, series, width: 760 },
        x: { label: "distance in tokens", log: true, ticks: ascending },
        y: { label: "right answers, %", log: false, fromZero: true },
        level: { y: 100 * CHANCE, label: "chance" },
        marks: [{ x: context, label: "training context" }],
      },
      `Recall of ${titles[task]}.`,
    ),
    table(`Right answers at a distance of so many tokens: ${titles[task]}`, rows, [
      ["", variantLabel],
      ["#learning rate", ({ lr }) => String(lr)],
      ["#seeds", ({ seeds }) => String(seeds)],
      ...ascending.map((distance): Column<RecallRow> => {
        return [`#${whole(distance)}`, (row) => accuracyText(at(row, distance))];
      }),
    ]),
  ];
}

/** All seeds together; with the lowest and the highest where these differ. */
function accuracyText(point: RecallRow["points"][number] | undefined): string {
  if (point === undefined) return "–";
  const { accuracy, lowest, highest } = point;
  const [low, high] = [percent(lowest), percent(highest)];
  return low === high ? percent(accuracy) : `${percent(accuracy)} (${low}–${high})`;
}

const percent = (share: number) => `${(100 * share).toFixed(0)} %`;
