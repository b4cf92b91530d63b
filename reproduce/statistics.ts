/**
 * Medians and spread of repeated timings: quartiles, because single slow rounds are common on shared machines; groups.
 */

export interface Spread {
  readonly median: number;
  /** First and third quartile. */
  readonly low: number;
  readonly high: number;
  readonly rounds: number;
}

/** Linear interpolation between the sorted values. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = q * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

export function spread(values: readonly number[]): Spread {
  return {
    median: median(values),
    low: quantile(values, 0.25),
    high: quantile(values, 0.75),
    rounds: values.length,
  };
}

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Of a sample; null where there are not two values. */
export function deviation(values: readonly number[]): number | null {
  if (values.length < 2) return null;
  const middle = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1));
}

/** Quotients of two series measured in the same rounds. */
export function ratios(numerators: readonly number[], denominators: readonly number[]): number[] {
  return numerators.map((n, i) => n / denominators[i]);
}

/** Values of the same key together, in the order of the first of each. */
export function grouped<Value>(values: readonly Value[], key: (value: Value) => string): Value[][] {
  const groups = new Map<string, Value[]>();
  for (const value of values) {
    const own = groups.get(key(value));
    if (own) own.push(value);
    else groups.set(key(value), [value]);
  }
  return [...groups.values()];
}
