/**
 * One plot on a canvas, by uPlot: curves over a window of x, reduced to what its pixels can show before they are
 * drawn.
 */
import uPlot from "uplot";
import { perColumn } from "./columns.ts";
import { Painter } from "./paths.ts";
import type { Points } from "./points.ts";
import { logTicks } from "./ticks.ts";
import type { Range } from "./view.ts";

export interface Curve {
  readonly name: string;
  /** A colour, or a CSS variable that holds one: --run-1. */
  readonly color: string;
  readonly points: Points;
  /** What a smoothed curve was made from, drawn behind it. */
  readonly faint?: boolean;
  /** Whether each point has a mark, for curves of few points. */
  readonly marked?: boolean;
}

export interface Look {
  readonly curves: readonly Curve[];
  readonly logX: boolean;
  readonly logY: boolean;
  /** Also as marks of the axis that are so far apart. */
  readonly formatX: (value: number, apart?: number) => string;
  readonly formatY: (value: number) => string;
}

export const HEIGHT = 190;

export class Drawing {
  readonly #plot: uPlot;
  #curves: readonly Curve[];
  readonly #logX: boolean;
  readonly #logY: boolean;

  constructor(host: HTMLElement, look: Look, width: number) {
    this.#curves = look.curves;
    this.#logX = look.logX;
    this.#logY = look.logY;
    const style = getComputedStyle(host);
    const color = (name: string) => (name.startsWith("--") ? style.getPropertyValue(name).trim() : name);
    const font = `11px ${style.fontFamily}`;
    const axis = { stroke: color("--wa-color-text-quiet"), font, ticks: { show: false } };
    const grid = { stroke: color("--plot-grid"), width: 1 };
    const painter = new Painter();
    const strokes = look.curves.map(({ color: given, faint }) =>
      faint ? `color-mix(in srgb, ${color(given)} 28%, transparent)` : color(given),
    );
    this.#plot = new uPlot(
      {
        width,
        height: HEIGHT,
        legend: { show: false },
        cursor: { y: false, points: { show: false }, drag: { x: false, y: false }, bind: UNBOUND },
        hooks: { drawSeries: [(plot, number) => painter.bars(plot, number, strokes[number - 1])] },
        scales: {
          x: { time: false, distr: look.logX ? 3 : 1, range: (_, min, max) => [min, max] },
          y: { distr: look.logY ? 3 : 1, range: (_, min, max) => heightOf(min, max, look.logY) },
        },
        axes: [
          { ...axis, grid, size: 26, gap: 4, space: 64, incrs: WHOLE, ...marksOf(look.formatX, look.logX) },
          { ...axis, grid, size: 52, gap: 6, space: 32, ...marksOf(look.formatY, look.logY) },
        ],
        series: [
          {},
          ...look.curves.map(({ name, faint, marked }, index): uPlot.Series => {
            const stroke = strokes[index];
            const points = { show: marked ?? false, size: 5, fill: stroke };
            return { label: name, stroke, width: faint ? 1 : 1.75, spanGaps: true, paths: painter.line, points };
          }),
        ],
        padding: [8, 16, 0, 0],
      },
      [[]] as unknown as uPlot.AlignedData,
      host,
    );
  }

  /** Where gestures happen. */
  get area(): HTMLElement {
    return this.#plot.over;
  }

  resize(width: number): void {
    if (width !== this.#plot.width) this.#plot.setSize({ width, height: HEIGHT });
  }

  /** The same curves, longer. */
  set curves(curves: readonly Curve[]) {
    this.#curves = curves;
  }

  draw({ from, to }: Range): void {
    const columns = Math.max(1, Math.round(this.#plot.over.clientWidth));
    const points = this.#curves.map((curve) => curve.points);
    const data = perColumn(points, { from, to, columns, log: this.#logX });
    if (this.#logY) for (const y of data.slice(1) as (number | null)[][]) withoutLog(y);
    this.#plot.batch(() => {
      this.#plot.setData(data as uPlot.AlignedData, false);
      this.#plot.setScale("x", { min: from, max: to });
    });
  }

  /** A line at a value of x, or none. */
  point(x: number | undefined): void {
    const left = x === undefined ? -10 : this.#plot.valToPos(x, "x");
    this.#plot.setCursor({ left, top: left < 0 ? -10 : 0 }, false);
  }

  /** Shades a stretch, in shares of the width. */
  shade(from = 0, to = 0): void {
    const { clientWidth, clientHeight } = this.#plot.over;
    const left = Math.min(from, to) * clientWidth;
    this.#plot.setSelect({ left, top: 0, width: Math.abs(to - from) * clientWidth, height: clientHeight }, false);
  }

  valueAt(share: number): number {
    return this.#plot.posToVal(share * this.#plot.over.clientWidth, "x");
  }

  destroy(): void {
    this.#plot.destroy();
  }
}

const nothing = () => null;
/** Gestures of its own are not wanted: gestures.ts has them. */
const UNBOUND: uPlot.Cursor.Bind = {
  ...{ mousedown: nothing, mouseup: nothing, click: nothing, dblclick: nothing },
  ...{ mousemove: nothing, mouseleave: nothing, mouseenter: nothing },
};

/** Steps, tokens and seconds are counted: no mark stands between two of them. */
const WHOLE = Array.from({ length: 13 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** power)).flat();

/** Marks of an axis and what they say. On a logarithmic one they are as far apart as they are from zero. */
function marksOf(format: (value: number, apart?: number) => string, log: boolean): Partial<uPlot.Axis> {
  if (!log) return { values: (_, values, __, ___, apart) => values.map((value) => format(value, apart)) };
  return {
    splits: (_, __, min, max) => logTicks(min, max),
    filter: (_, values) => values,
    values: (_, values) => values.map((value) => format(value, value)),
  };
}

/** What has no logarithm is not drawn. */
function withoutLog(values: (number | null)[]): void {
  for (const [index, value] of values.entries()) if (value !== null && value <= 0) values[index] = null;
}

/** A little more than from the lowest to the highest value. */
function heightOf(min: number | null, max: number | null, log: boolean): [number, number] {
  if (min === null || max === null || !(max >= min)) return log ? [1, 10] : [0, 1];
  if (log) {
    const room = max > min ? (max / min) ** 0.05 : 1.1;
    return [min / room, max * room];
  }
  const room = max > min ? (max - min) * 0.06 : Math.abs(max) * 0.1 || 1;
  return [min >= 0 ? Math.max(0, min - room) : min - room, max + room];
}
