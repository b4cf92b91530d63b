/** Curves reduced to what pixels show. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { perColumn } from "./columns.ts";
import { nearest, type Points, smoothed } from "./points.ts";
import { inside, panned, zoomed } from "./view.ts";

const points = (y: readonly number[], x = y.map((_, index) => index)): Points => ({
  x: Float64Array.from(x),
  y: Float64Array.from(y),
});
const linear = { from: 0, to: 10, columns: 10, log: false };
const drawn = (values: readonly (number | null)[]) => values.filter((value) => value !== null);

describe("curves reduced to columns of pixels", () => {
  it("are themselves where each column has one point", () => {
    const [x, y] = perColumn([points([5, 3, 4], [0.5, 4.5, 9.5])], linear);
    expect(drawn(y)).toEqual([5, 3, 4]);
    expect([...x].filter((_, index) => y[index] !== null)).toEqual([0.25, 4.25, 9.25]);
  });

  it("keep the lowest and the highest value of a column in their order", () => {
    const [, y] = perColumn([points([1, 9, 2, 0, 5], [3, 3.2, 3.4, 3.6, 3.8])], linear);
    expect(drawn(y)).toEqual([9, 0]);
  });

  it("run on to the points just outside, each curve to its own", () => {
    const curves = [points([1, 2, 3], [-5, 5, 15]), points([4, 5, 6], [-1, 2, 30])];
    const [x, first, second] = perColumn(curves, linear);
    expect(drawn(first)).toEqual([1, 2, 3]);
    expect(drawn(second)).toEqual([4, 5, 6]);
    expect([x[0], x[1], x[x.length - 2], x[x.length - 1]]).toEqual([-5, -1, 15, 30]);
    expect([...x]).toEqual([...x].sort((a, b) => a - b));
  });

  it("hold the extremes of what is seen, at most two values a column, for any points", () => {
    const value = fc.oneof(fc.double({ min: -1e6, max: 1e6, noNaN: true }), fc.constant(Number.NaN));
    const place = fc.double({ min: 1, max: 99.999, noNaN: true });
    const cases = fc.array(fc.tuple(place, value), { minLength: 1, maxLength: 300 });
    fc.assert(
      fc.property(cases, fc.integer({ min: 1, max: 50 }), fc.boolean(), (pairs, columns, log) => {
        const sorted = [...pairs].sort(([a], [b]) => a - b);
        const curve = points(
          sorted.map(([, y]) => y),
          sorted.map(([x]) => x),
        );
        const [x, y] = perColumn([curve], { from: 1, to: 100, columns, log });
        const finite = [...curve.y].filter((one) => !Number.isNaN(one));
        expect(y.length).toBe(2 * columns + 2);
        expect(x.length).toBe(y.length);
        expect(Math.max(...drawn(y))).toBe(Math.max(...finite));
        expect(Math.min(...drawn(y))).toBe(Math.min(...finite));
      }),
    );
  });
});

describe("points", () => {
  it("smoothed begin at their first value, keep a constant, and pass over gaps", () => {
    const { y } = smoothed(points([4, Number.NaN, 4, 8]), 0.5);
    expect([...y]).toEqual([4, Number.NaN, 4, 4 + 4 * (0.5 / 0.875)]);
    const same = points([1, 2]);
    expect(smoothed(same, 0)).toBe(same);
  });

  it("are found by the nearest x, never a gap", () => {
    const curve = points([1, Number.NaN, 3], [0, 10, 20]);
    expect([-5, 4, 11, 99].map((x) => nearest(curve, x))).toEqual([0, 0, 2, 2]);
    expect(nearest(points([]), 1)).toBeUndefined();
  });
});

describe("a window", () => {
  it("is zoomed around a place that stays, on either axis", () => {
    expect(zoomed({ from: 0, to: 100 }, 0.5, 0.25, false)).toEqual({ from: 12.5, to: 62.5 });
    const { from, to } = zoomed({ from: 1, to: 10_000 }, 0.5, 0.5, true);
    expect(from).toBeCloseTo(10);
    expect(to).toBeCloseTo(1000);
  });

  it("is panned by shares of its width and stays inside the whole", () => {
    const whole = { from: 0, to: 100 };
    expect(panned({ from: 20, to: 40 }, 0.5, false)).toEqual({ from: 30, to: 50 });
    expect(inside({ from: 90, to: 120 }, whole, false)).toEqual({ from: 70, to: 100 });
    expect(inside({ from: -50, to: 150 }, whole, false)).toBe(whole);
  });
});
