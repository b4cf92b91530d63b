/**
 * Curves of any length as at most two points for each column of pixels: the lowest and the highest value in it, in the
 * order in which they come. A line through them covers the same pixels as one through all points.
 */
import { lowerBound, type Points } from "./points.ts";

export interface Window {
  readonly from: number;
  readonly to: number;
  readonly columns: number;
  /** Whether equal distances mean equal ratios. */
  readonly log: boolean;
}

/** What uPlot draws: x, then each curve over it, null where it has no point. */
export type Aligned = [Float64Array, ...(number | null)[][]];

export function perColumn(curves: readonly Points[], window: Window): Aligned {
  const { columns } = window;
  const edges = edgesOf(window);
  // One place for each curve on either side: its point just outside, so that its line runs to the border.
  const sides = curves.length;
  const length = 2 * columns + 2 * sides;
  const before = outside(curves, edges[0], -1, window.log);
  const after = outside(curves, edges[columns], 1, window.log);
  const x = new Float64Array(length);
  for (let side = 0; side < sides; side++) {
    x[side] = before[side].x;
    x[length - sides + side] = after[side].x;
  }
  for (let column = 0; column < columns; column++) {
    const width = edges[column + 1] - edges[column];
    x[sides + 2 * column] = edges[column] + width / 4;
    x[sides + 2 * column + 1] = edges[column] + (3 * width) / 4;
  }
  const values = curves.map((curve, number) => {
    const y = new Array<number | null>(length).fill(null);
    fillColumns(curve, edges, y, sides);
    for (let side = 0; side < sides; side++) {
      if (before[side].curve === number) y[side] = before[side].y;
      if (after[side].curve === number) y[length - sides + side] = after[side].y;
    }
    return y;
  });
  return [x, ...values];
}

function edgesOf({ from, to, columns, log }: Window): Float64Array {
  return Float64Array.from({ length: columns + 1 }, (_, index) => {
    const share = index / columns;
    return log ? from * (to / from) ** share : from + (to - from) * share;
  });
}

interface Outside {
  readonly curve: number;
  readonly x: number;
  readonly y: number | null;
}

/** The point of each curve next to the border on that side, in order of x; without one, a null at the border. */
function outside(curves: readonly Points[], border: number, direction: 1 | -1, log: boolean): Outside[] {
  const points = curves.map(({ x, y }, curve) => {
    const first = direction === -1 ? lowerBound(x, border) - 1 : lowerBound(x, border);
    for (let index = first; index >= 0 && index < x.length; index += direction) {
      if (log && x[index] <= 0) break;
      if (!Number.isNaN(y[index])) return { curve, x: x[index], y: y[index] };
    }
    return { curve, x: border, y: null };
  });
  return points.sort((a, b) => a.x - b.x);
}

function fillColumns({ x, y }: Points, edges: Float64Array, into: (number | null)[], sides: number): void {
  const columns = edges.length - 1;
  let index = lowerBound(x, edges[0]);
  for (let column = 0; column < columns && index < x.length; column++) {
    const end = edges[column + 1];
    let low = -1;
    let high = -1;
    for (; index < x.length && x[index] < end; index++) {
      const value = y[index];
      if (Number.isNaN(value)) continue;
      if (low < 0 || value < y[low]) low = index;
      if (high < 0 || value > y[high]) high = index;
    }
    if (low < 0) continue;
    const at = sides + 2 * column;
    into[at] = y[Math.min(low, high)];
    if (low !== high) into[at + 1] = y[Math.max(low, high)];
  }
}
