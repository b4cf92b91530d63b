/** Numbers and names as the report shows them. */
import type { Spread } from "../statistics.ts";

/** 65536 -> "65,536" */
export function whole(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** Three significant digits, without exponents: 1234 -> "1,234", 0.01234 -> "0.0123". */
export function significant(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (Math.abs(value) >= 1000) return whole(value);
  const digits = value === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(6, digits));
}

/** Median and quartiles: "3.41 (3.36–3.52)"; the median alone where there are too few rounds for quartiles. */
export function spreadText(value: Spread | null, digits: (value: number) => string = significant): string {
  return orDash(value, ({ median, low, high, rounds }) =>
    rounds < 3 ? digits(median) : `${digits(median)} (${digits(low)}–${digits(high)})`,
  );
}

export function ratioText(value: number): string {
  return value.toFixed(value < 10 ? 2 : 1);
}

/** 90 -> "90 s", 5400 -> "90 min" */
export function secondsText(value: number): string {
  if (value < 10) return `${value.toFixed(1)} s`;
  return value < 180 ? `${value.toFixed(0)} s` : `${(value / 60).toFixed(1)} min`;
}

export function bytesText(value: number | null): string {
  return orDash(value, (bytes) => `${(bytes / 1e9).toFixed(bytes < 1e10 ? 2 : 1)} GB`);
}

/** Of the perplexity of a language model: two decimals below 100, else whole. */
export function perplexityText(value: number | null): string {
  return orDash(value, (perplexity) => (perplexity < 100 ? perplexity.toFixed(2) : significant(perplexity)));
}

/** Against what is compared with: 0.905 -> "−9.5 %" */
export function differenceText(ratio: number): string {
  return `${ratio >= 1 ? "+" : "−"}${Math.abs(100 * (ratio - 1)).toFixed(1)} %`;
}

/** null -> "" */
export function orNothing<Value>(value: Value | null, text: (value: Value) => string): string {
  return value === null ? "" : text(value);
}

/** null -> "–" */
export function orDash<Value>(value: Value | null, text: (value: Value) => string): string {
  return value === null ? "–" : text(value);
}
