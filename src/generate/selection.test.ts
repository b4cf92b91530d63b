import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { firstByCount, firstByWeight, idsOf, rankedKeys } from "./selection.ts";

// Few different values, so that there are ties; zeros of both signs, and values that must not be chosen.
const value = fc.oneof(fc.integer({ min: -4, max: 4 }), fc.constantFrom(-0, 1e-40, -1e30, 3e38, -Infinity));
const values = fc.array(value, { minLength: 1, maxLength: 80 }).map((numbers) => Float32Array.from(numbers));

/** Indices by rank, by the plain definition. */
function ranking(of: Float32Array): number[] {
  const compare = (a: number, b: number) => (of[a] === of[b] ? a - b : of[a] > of[b] ? -1 : 1);
  return [...of.keys()].sort(compare);
}

const ids = (keys: Float64Array) => [...idsOf(keys)].sort((a, b) => a - b);
const sorted = (numbers: number[]) => numbers.sort((a, b) => a - b);

describe("selection agrees with sorting", () => {
  it("by count", () => {
    fc.assert(
      fc.property(values, fc.integer({ min: 1, max: 90 }), (of, count) => {
        expect(ids(firstByCount(rankedKeys(of), count))).toEqual(sorted(ranking(of).slice(0, count)));
      }),
      { numRuns: 500 },
    );
  });

  it("by weight", () => {
    fc.assert(
      fc.property(values, fc.integer({ min: 1, max: 200 }), (of, mass) => {
        const weights = Float64Array.from(of, (_, i) => (i * 7) % 5);
        const order = ranking(of);
        let total = 0;
        let count = 0;
        while (count < order.length && total < mass) total += weights[order[count++]];
        expect(ids(firstByWeight(rankedKeys(of), weights, mass))).toEqual(sorted(order.slice(0, count)));
      }),
      { numRuns: 500 },
    );
  });

  it("of a vocabulary of 30,000", () => {
    const of = Float32Array.from({ length: 30_000 }, (_, i) => Math.sin(i));
    expect(ids(firstByCount(rankedKeys(of), 40))).toEqual(sorted(ranking(of).slice(0, 40)));
  });
});
