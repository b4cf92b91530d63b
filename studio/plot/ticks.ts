/** Where the marks of a logarithmic axis stand: on round numbers, also where it spans less than a power of ten. */

const ROUND = [[1], [1, 2, 5], [1, 2, 3, 4, 5, 6, 7, 8, 9]] as const;
const FEW = 3;
const MANY = 7;

/** Ascending values from `min` to `max`, both above 0. */
export function logTicks(min: number, max: number): number[] {
  const first = Math.floor(Math.log10(min));
  const last = Math.ceil(Math.log10(max));
  const powers = Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index));
  for (const digits of ROUND) {
    const ticks = powers
      .flatMap((power) => digits.map((digit) => digit * power))
      .filter((one) => one >= min && one <= max);
    if (ticks.length >= FEW) return every(ticks);
  }
  return linearTicks(min, max);
}

/** Not so many that they cannot be read: each second, third, … */
function every(ticks: readonly number[]): number[] {
  const step = Math.ceil(ticks.length / MANY);
  return ticks.filter((_, index) => index % step === 0);
}

function linearTicks(min: number, max: number): number[] {
  const rough = (max - min) / FEW;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [5, 2, 1].map((digit) => digit * power).find((one) => one <= rough) ?? power;
  const count = Math.floor(max / step) - Math.ceil(min / step) + 1;
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  return Array.from({ length: count }, (_, index) => Number(((Math.ceil(min / step) + index) * step).toFixed(digits)));
}
