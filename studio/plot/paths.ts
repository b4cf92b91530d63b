/**
 * How a curve is painted: a line where it is smooth, a bar in each column of pixels where it is noise. Both look the
 * same there, and rectangles on whole pixels cost a small part of what a line with corners does
 * (docs/decisions/0050).
 */
import type uPlot from "uplot";

/** A curve of many points that goes so many times as far up and down as to the side is painted in bars. */
const NOISY = 8;
const MANY = 200;

/** Pixels of the points of a curve that are seen: at most two a column, as columns.ts leaves them. */
interface Places {
  readonly xs: number[];
  readonly ys: number[];
  readonly noisy: boolean;
}

function placesOf(plot: uPlot, number: number): Places {
  const xs: number[] = [];
  const ys: number[] = [];
  let rise = 0;
  let run = 0;
  const values = plot.data[number];
  for (let index = 0; index < values.length; index++) {
    const value = values[index];
    if (value === null || value === undefined) continue;
    const x = plot.valToPos(plot.data[0][index], "x", true);
    const y = plot.valToPos(value, "y", true);
    if (xs.length > 0) {
      rise += Math.abs(y - ys[ys.length - 1]);
      run += x - xs[xs.length - 1];
    }
    xs.push(x);
    ys.push(y);
  }
  return { xs, ys, noisy: xs.length > MANY && rise > NOISY * run };
}

/** Paints curves; one for each plot. */
export class Painter {
  readonly #places = new Map<number, Places>();

  /** The line of a curve, if it is painted as one. */
  readonly line: uPlot.Series.PathBuilder = (plot, number) => {
    const places = placesOf(plot, number);
    this.#places.set(number, places);
    if (places.noisy) return null;
    const stroke = new Path2D();
    for (const [index, x] of places.xs.entries()) stroke.lineTo(x, places.ys[index]);
    return { stroke };
  };

  /** The bars of a curve, if it is painted in them. */
  bars(plot: uPlot, number: number, color: string): void {
    const places = this.#places.get(number);
    if (!places?.noisy) return;
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.fillStyle = color;
    ctx.strokeStyle = color;
    ctx.lineWidth = devicePixelRatio;
    paintBars(ctx, places, bbox.left);
    ctx.restore();
  }
}

/** Neighbouring bars meet half way between their points; columns apart are joined by a line. */
function paintBars(context: CanvasRenderingContext2D, { xs, ys }: Places, left: number): void {
  const wide = Math.max(1, Math.round(devicePixelRatio));
  let column = Math.floor((xs[0] - left) / wide);
  let [top, bottom] = [ys[0], ys[0]];
  const paint = () => {
    context.fillRect(left + column * wide, Math.round(top), wide, Math.max(wide, Math.round(bottom - top)));
  };
  for (let index = 1; index < xs.length; index++) {
    const next = Math.floor((xs[index] - left) / wide);
    const [before, here] = [ys[index - 1], ys[index]];
    if (next !== column) {
      const joined = next === column + 1;
      const edge = joined ? (before + here) / 2 : before;
      top = Math.min(top, edge);
      bottom = Math.max(bottom, edge);
      paint();
      if (!joined) {
        context.beginPath();
        context.moveTo(xs[index - 1], before);
        context.lineTo(xs[index], here);
        context.stroke();
      }
      column = next;
      [top, bottom] = joined ? [edge, edge] : [here, here];
    }
    top = Math.min(top, here);
    bottom = Math.max(bottom, here);
  }
  paint();
}
