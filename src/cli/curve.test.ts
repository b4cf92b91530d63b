/** The curve of a training in the terminal. */
import { expect, it } from "vitest";
import { curve } from "./curve.ts";

const points = (...perplexities: number[]) =>
  perplexities.map((perplexity, i) => ({ step: 100 * (i + 1), perplexity }));

it("falls from the first perplexity to the last", () => {
  const lines = curve(points(1000, 100, 10));
  const [top, middle, bottom] = ["1.00e+3┤", "100┤", "10.0┤"].map((label) => lines.findIndex((l) => l.includes(label)));
  expect(top).toBeGreaterThan(0);
  expect(middle).toBeGreaterThan(top);
  expect(bottom).toBeGreaterThan(middle);
  expect(lines[top].indexOf("━")).toBeLessThan(lines[bottom].indexOf("━"));
  expect(lines.at(-1)).toMatch(/^ *100 +300$/);
  for (const line of curve(points(9, 8, 7, 6), 60)) expect(line.length).toBeLessThanOrEqual(60);
});

it("is nothing where there is no curve", () => {
  expect(curve(points(3, 2))).toEqual([]);
  expect(curve(points(3, 3, 3))).toEqual([]);
  expect(curve(points(3, Number.POSITIVE_INFINITY, 2))).toEqual([]);
});
