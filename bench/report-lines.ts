/** Numbers and lines of the report. */
import type { Spread } from "../reproduce/statistics.ts";

export const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
export const finePercent = (share: number) => `${(100 * share).toFixed(3)} %`;
export const mebibytes = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`;
export const shape = (sizes: readonly number[]) => `[${sizes.join(", ")}]`;

/** Median, then the quartiles in parentheses. */
export function show(value: Spread, digits: number, scale = 1): string {
  const [median, low, high] = [value.median, value.low, value.high].map((n) => (n * scale).toFixed(digits));
  return `${median} (${low} to ${high})`;
}

export const line = (label: string, text: string) => `  ${label.padEnd(26)}${text}`;
