/** How a training went, drawn in the terminal: held-out perplexity against steps, on a logarithmic axis. */
import { plot } from "simple-ascii-chart";

interface Point {
  readonly step: number;
  readonly perplexity: number;
}

/** Fewer points are read faster from their lines. */
const FEWEST = 3;
const HEIGHT = 8;
const WIDEST = 64;

/** Lines of the picture; none for fewer than three points or ones that no axis holds. */
export function curve(points: readonly Point[], columns = 80): string[] {
  if (points.length < FEWEST || !points.every(({ perplexity }) => Number.isFinite(perplexity))) return [];
  const logs = points.map(({ perplexity }) => Math.log(perplexity));
  const [least, most] = [Math.min(...logs), Math.max(...logs)];
  if (least === most) return [];
  const first = points[0].step;
  const last = points[points.length - 1].step;
  const series = points.map(({ step }, i): [number, number] => [step, logs[i]]);
  const picture = plot([series], {
    title: "held-out perplexity by step",
    width: Math.min(WIDEST, columns - 16),
    height: HEIGHT,
    customXAxisTicks: [first, last],
    customYAxisTicks: [least, (least + most) / 2, most],
    formatter: (value, { axis }) => (axis === "y" ? Math.exp(value).toPrecision(3) : String(value)),
  });
  return picture
    .split("\n")
    .map((text) => text.trimEnd())
    .filter((text) => text !== "");
}
