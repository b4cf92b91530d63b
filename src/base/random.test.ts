import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { permuteIndex, philox, randomKey, randomNormals, randomUniform } from "./random.ts";

describe("philox", () => {
  // Known answers of the authors' Random123 distribution (kat_vectors, philox4x32 10).
  it.each([
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ])("of counter %j and key %j", (counter, key, expected) => {
    const out = new Uint32Array(4);
    philox(counter as [number, number, number, number], key as [number, number], out);
    expect([...out]).toEqual(expected);
  });
});

describe("streams", () => {
  it("differ by seed, purpose and step, and repeat", () => {
    const keys = [
      randomKey(1, "a"),
      randomKey(2, "a"),
      randomKey(1, "b"),
      randomKey(1, "a", 1),
      randomKey(2 ** 40, "a"),
    ];
    expect(new Set(keys.map(String)).size).toBe(keys.length);
    expect(randomKey(1, "a")).toEqual(keys[0]);
  });

  it("are uniform in mean and normal in mean, variance and fourth moment", () => {
    const key = randomKey(7, "moments");
    const n = 100_000;
    let mean = 0;
    for (let i = 0; i < n; i++) mean += randomUniform(key, i) / n;
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.005);
    const normals = randomNormals(key, n, 2);
    const moment = (k: number) => normals.reduce((sum, x) => sum + (x / 2) ** k, 0) / n;
    expect(Math.abs(moment(1))).toBeLessThan(0.02);
    expect(Math.abs(moment(2) - 1)).toBeLessThan(0.02);
    expect(Math.abs(moment(4) - 3)).toBeLessThan(0.15);
  });
});

describe("permuteIndex", () => {
  it("is a permutation of any range", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 700 }), fc.integer(), (count, seed) => {
        const key = randomKey(seed, "permutation");
        const image = new Set(Array.from({ length: count }, (_, i) => permuteIndex(key, count, i)));
        expect(image.size).toBe(count);
        expect(Math.max(...image)).toBeLessThan(count);
      }),
      { numRuns: 50 },
    );
  });

  it("does shuffle", () => {
    const key = randomKey(3, "permutation");
    const order = Array.from({ length: 1000 }, (_, i) => permuteIndex(key, 1000, i));
    const fixed = order.filter((to, from) => to === from).length;
    const ascents = order.filter((to, i) => i > 0 && to > order[i - 1]).length;
    expect(fixed).toBeLessThan(10);
    expect(Math.abs(ascents - 500)).toBeLessThan(60);
  });
});
