/** Curves of the chosen runs: one plot for each number, all with the same window of x. */
import { computed, effect } from "@preact/signals";
import { bytes, duration, figures, place, short } from "../base/format.ts";
import { Chart } from "../plot/chart.tsx";
import type { Curve } from "../plot/drawing.ts";
import { type Extent, newGroup } from "../plot/group.ts";
import { smoothed } from "../plot/points.ts";
import { axis, chosen, colors, hidden, logX, logY, smoothing } from "./chosen.ts";
import { type Axis, METRICS, type Metric } from "./history.ts";
import { histories } from "./store.ts";
import { Toolbar } from "./toolbar.tsx";

const group = newGroup();

const PLOTS: Readonly<Record<Metric, { title: string; unit: string; format: (value: number) => string }>> = {
  loss: { title: "Training loss", unit: "nats a token", format: figures },
  perplexity: { title: "Held-out perplexity", unit: "", format: figures },
  learningRate: { title: "Learning rate", unit: "", format: figures },
  gradientNorm: { title: "Gradient norm", unit: "before clipping", format: figures },
  tokensPerSecond: { title: "Speed", unit: "tokens a second", format: short },
  memory: { title: "Memory", unit: "resident", format: bytes },
};

const AXES: Readonly<Record<Axis, { name: string; format: (value: number, apart?: number) => string }>> = {
  step: { name: "step", format: place },
  tokens: { name: "tokens", format: place },
  seconds: { name: "after", format: duration },
};

const MARKED_UP_TO = 60;

const curves = computed<ReadonlyMap<Metric, readonly Curve[]>>(() => {
  const weight = smoothing.value;
  return new Map(METRICS.map((metric) => [metric, curvesOf(metric, weight)]));
});

function curvesOf(metric: Metric, weight: number): Curve[] {
  return chosen.value.flatMap((name): Curve[] => {
    const held = histories.value.get(name);
    const color = colors.value.get(name);
    if (held === undefined || color === undefined || hidden.value.has(name)) return [];
    const points = held.history.points(metric, axis.value);
    if (points.y.every(Number.isNaN)) return [];
    const marked = metric === "perplexity" && points.x.length <= MARKED_UP_TO;
    if (weight === 0 || metric === "perplexity" || metric === "learningRate") return [{ name, color, points, marked }];
    return [
      { name, color, points, faint: true },
      { name, color, points: smoothed(points, weight) },
    ];
  });
}

const extent = computed<Extent>(() => {
  const all = [...curves.value.values()].flat().filter(({ points }) => points.x.length > 0);
  const log = logX.value;
  const firsts = all.map(({ points: { x } }) => (log ? (x.find((value) => value > 0) ?? 1) : x[0]));
  const from = firsts.length === 0 ? (log ? 1 : 0) : Math.min(...firsts);
  const to = Math.max(...all.map(({ points }) => points.x[points.x.length - 1]), from);
  return { from, to: to > from ? to : from + 1, log };
});

// A window of steps says nothing about tokens.
effect(() => {
  if (axis.value !== undefined) group.view.value = undefined;
});

export function Curves() {
  const { name, format } = AXES[axis.value];
  const shown = METRICS.filter((metric) => (curves.value.get(metric) ?? []).length > 0);
  return (
    <div class="curves">
      <Toolbar group={group} extent={extent.value} />
      <p id="plot-keys" class="hidden">
        Arrow keys read values along the curves, plus and minus zoom, page up and page down pan, zero shows all.
      </p>
      {shown.length === 0 && <p class="quiet empty">Nothing to draw: tick a run that has taken a step.</p>}
      <div class="charts">
        {shown.map((metric) => (
          <Chart
            key={metric}
            group={group}
            title={PLOTS[metric].title}
            unit={PLOTS[metric].unit}
            curves={curves.value.get(metric) ?? []}
            extent={extent.value}
            logY={logY.value}
            axis={name}
            formatX={format}
            formatY={PLOTS[metric].format}
          />
        ))}
      </div>
    </div>
  );
}
