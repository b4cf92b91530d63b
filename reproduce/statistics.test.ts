/** Quartiles and ratios by hand. */
import { expect, it } from "vitest";
import { median, quantile, ratios, spread } from "./statistics.ts";

it("interpolates between sorted values", () => {
  expect(quantile([4, 1, 3, 2], 0)).toBe(1);
  expect(quantile([4, 1, 3, 2], 1)).toBe(4);
  expect(quantile([4, 1, 3, 2], 0.25)).toBe(1.75);
  expect(median([5, 1, 3])).toBe(3);
  expect(median([4, 2])).toBe(3);
});

it("tells the spread, and does not move for one slow round", () => {
  expect(spread([10, 11, 12, 13, 100])).toEqual({ median: 12, low: 11, high: 13, rounds: 5 });
});

it("takes ratios round by round", () => {
  // A machine that slows down for both hides nothing: 2, 2 and 2.
  expect(ratios([20, 40, 22], [10, 20, 11])).toEqual([2, 2, 2]);
});
