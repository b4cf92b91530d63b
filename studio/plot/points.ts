/** A curve as its points in order of x, and what is derived from it: a smoothed copy, the point nearest to a place. */

export interface Points {
  /** Ascending; equal neighbours are allowed. */
  readonly x: Float64Array;
  /** As long as `x`; NaN where there is no finite value. */
  readonly y: Float64Array;
}

/** The first index whose x is at least `value`: the length when there is none. */
export function lowerBound(x: Float64Array, value: number): number {
  let low = 0;
  let high = x.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (x[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The index of the finite point nearest to `value`, or undefined without one within a few points of it. */
export function nearest({ x, y }: Points, value: number): number | undefined {
  const at = lowerBound(x, value);
  const reach = 8;
  let best: number | undefined;
  for (let index = Math.max(0, at - reach); index < Math.min(x.length, at + reach); index++) {
    if (Number.isNaN(y[index])) continue;
    if (best === undefined || Math.abs(x[index] - value) < Math.abs(x[best] - value)) best = index;
  }
  return best;
}

/**
 * Exponential moving average s[t] = (w s[t-1] + (1 - w) y[t]) / (1 - w^t): divided so that the first values are not
 * drawn towards zero. Values that are not finite are left out and keep their place as NaN.
 */
export function smoothed(points: Points, weight: number): Points {
  if (weight <= 0) return points;
  const y = new Float64Array(points.y.length);
  let sum = 0;
  let share = 0;
  for (let index = 0; index < y.length; index++) {
    const value = points.y[index];
    if (Number.isNaN(value)) {
      y[index] = Number.NaN;
      continue;
    }
    sum = weight * sum + (1 - weight) * value;
    share = weight * share + (1 - weight);
    y[index] = sum / share;
  }
  return { x: points.x, y };
}
