/** Masking: its rates, that it follows from seed and number alone, and that special tokens and padding stay. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type MaskingRequest, maskedBatch } from "./masking.ts";

const special = { endOfText: 0, padding: 7, mask: 39 };
const specials: number[] = Object.values(special);
const vocabulary = { vocabSize: 40, special };

const anyBatch = fc.record({
  tokens: fc
    .array(fc.integer({ min: 0, max: 39 }), { minLength: 1, maxLength: 300 })
    .map((ids) => Int32Array.from(ids)),
  seed: fc.integer({ min: 0, max: 2 ** 40 }),
  index: fc.nat(),
});

/** Places that were selected. */
const selected = (weights: Float32Array) => [...weights.keys()].filter((at) => weights[at] > 0);

describe("maskedBatch", () => {
  it("selects 15 % of the ordinary tokens, at least one, and weighs them alike", () => {
    fc.assert(
      fc.property(anyBatch, ({ tokens, seed, index }) => {
        const before = tokens.slice();
        const masked = maskedBatch({ vocabulary, tokens, seed, index });
        const ordinary = tokens.filter((id) => !specials.includes(id)).length;
        const count = Math.min(ordinary, Math.max(1, Math.round(0.15 * ordinary)));
        const places = selected(masked.weights);
        expect([places.length, masked.count]).toEqual([count, count]);
        for (const at of places) expect(masked.weights[at]).toBe(Math.fround(1 / count));
        expect(masked.targets).toEqual(before);
        expect(tokens).toEqual(before);
      }),
    );
  });

  it("touches nothing but what it selects, never a special token, and puts in [MASK] or ordinary tokens", () => {
    fc.assert(
      fc.property(anyBatch, ({ tokens, seed, index }) => {
        const masked = maskedBatch({ vocabulary, tokens, seed, index });
        for (const [at, id] of tokens.entries()) {
          const now = masked.tokens[at];
          if (masked.weights[at] === 0) expect(now).toBe(id);
          else {
            expect(specials).not.toContain(id);
            expect(now === special.mask || !specials.includes(now)).toBe(true);
            expect(now).toBeLessThan(40);
          }
        }
      }),
    );
  });

  it("selects none of what is not real", () => {
    fc.assert(
      fc.property(anyBatch, fc.infiniteStream(fc.boolean()), ({ tokens, seed, index }, stream) => {
        const real = Float32Array.from(tokens, () => Number(stream.next().value));
        const { weights } = maskedBatch({ vocabulary, tokens, real, seed, index });
        for (const at of selected(weights)) expect(real[at]).toBe(1);
      }),
    );
  });

  it("follows from seed and number, and changes with each", () => {
    const tokens = Int32Array.from({ length: 400 }, (_, i) => 8 + (i % 30));
    const of = (more: Partial<MaskingRequest>) => maskedBatch({ vocabulary, tokens, seed: 5, index: 3, ...more });
    expect(of({})).toEqual(of({}));
    for (const other of [of({ seed: 6 }), of({ index: 4 })]) expect(other.weights).not.toEqual(of({}).weights);
  });

  it("makes [MASK] of 80 %, another token of 10 %, and keeps 10 %", () => {
    const vocabulary = { vocabSize: 10_000, special };
    const tokens = new Int32Array(200).fill(50);
    const times = { mask: 0, random: 0, kept: 0 };
    const placed = new Set<number>();
    const places = new Float64Array(200);
    for (let index = 0; index < 500; index++) {
      const masked = maskedBatch({ vocabulary, tokens, seed: 1, index });
      for (const at of selected(masked.weights)) {
        places[at]++;
        const id = masked.tokens[at];
        times[id === special.mask ? "mask" : id === 50 ? "kept" : "random"]++;
        placed.add(id);
      }
    }
    const all = 500 * 30;
    expect(times.mask / all).toBeCloseTo(0.8, 1.7);
    expect(times.random / all).toBeCloseTo(0.1, 1.7);
    expect(times.kept / all).toBeCloseTo(0.1, 1.7);
    expect(placed.size).toBeGreaterThan(0.85 * times.random); // hardly a token twice
    // Each place is selected 75 times on average, of a standard deviation of 8.
    expect(Math.min(...places)).toBeGreaterThan(75 - 5 * 8);
    expect(Math.max(...places)).toBeLessThan(75 + 5 * 8);
  });

  it("selects nothing in a batch of special tokens, and the one ordinary token there is", () => {
    const none = maskedBatch({ vocabulary, tokens: Int32Array.of(0, 7, 39), seed: 1, index: 0 });
    expect([none.count, [...none.tokens], [...none.weights]]).toEqual([0, [0, 7, 39], [0, 0, 0]]);
    const one = maskedBatch({ vocabulary, tokens: Int32Array.of(0, 7, 5, 0), seed: 1, index: 0 });
    expect([one.count, [...one.weights]]).toEqual([1, [0, 0, 1, 0]]);
  });
});
