/** Marks of logarithmic axes. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { logTicks } from "./ticks.ts";

it.each([
  [1, 100_000, [1, 10, 100, 1000, 10_000, 100_000]],
  [3, 300, [5, 10, 20, 50, 100, 200]],
  [2.6, 7.8, [3, 4, 5, 6, 7]],
  [4.1, 4.4, [4.1, 4.2, 4.3, 4.4]],
  [1e-9, 1e9, [1e-9, 1e-6, 1e-3, 1, 1e3, 1e6, 1e9]],
])("from %d to %d", (min, max, ticks) => {
  const found = logTicks(min, max);
  expect(found).toHaveLength(ticks.length);
  for (const [index, tick] of ticks.entries()) expect(found[index]).toBeCloseTo(tick, 12);
});

it("are a few, ascending, inside, for any axis", () => {
  const value = fc.double({ min: 1e-12, max: 1e12, noNaN: true });
  fc.assert(
    fc.property(value, fc.double({ min: 1.001, max: 1e6, noNaN: true }), (min, ratio) => {
      const ticks = logTicks(min, min * ratio);
      expect(ticks.length).toBeGreaterThan(1);
      expect(ticks.length).toBeLessThan(10);
      expect(ticks).toEqual([...ticks].sort((a, b) => a - b));
      expect(ticks[0]).toBeGreaterThanOrEqual(min * (1 - 1e-9));
      expect(ticks.at(-1)).toBeLessThanOrEqual(min * ratio * (1 + 1e-9));
    }),
  );
});
