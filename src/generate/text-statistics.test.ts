import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { repeatedShare, textStatistics } from "./text-statistics.ts";

describe("repeatedShare", () => {
  it("counts n-grams that occur earlier, by comparing all pairs", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(2), { maxLength: 40 }), fc.integer({ min: 1, max: 4 }), (tokens, n) => {
        const count = Math.max(0, tokens.length - n + 1);
        const same = (a: number, b: number) => Array.from({ length: n }, (_, i) => tokens[a + i] === tokens[b + i]);
        let repeated = 0;
        for (let at = 0; at < count; at++) {
          let found = false;
          for (let earlier = 0; earlier < at; earlier++) found ||= same(earlier, at).every(Boolean);
          if (found) repeated++;
        }
        if (count === 0) expect(repeatedShare(tokens, n)).toBeNaN();
        else expect(repeatedShare(tokens, n)).toBeCloseTo(repeated / count, 12);
      }),
    );
  });

  it("tells tokens apart whose digits run together", () => expect(repeatedShare([1, 11, 11, 1], 2)).toBe(0));
});

/** So many tokens, none repeated, with known entropies. */
function records(length: number) {
  const tokens = Array.from({ length }, (_, i) => i);
  return { tokens, modelEntropies: tokens.map((i) => i / 1000), sampledEntropies: tokens.map((i) => i / 2000) };
}

describe("textStatistics", () => {
  it.each([
    [0, ""],
    [3, "0-3"],
    [1000, "0-1000"],
    [1200, "0-1000 1000-1200"],
    [6000, "0-1000 1000-6000"],
    [8000, "0-1000 1000-6000 3000-8000"],
    [12_500, "0-1000 1000-6000 6000-11000 7500-12500"],
  ])("divides %i tokens", (length, wanted) =>
    expect(
      textStatistics(records(length))
        .map(({ from, to }) => `${from}-${to}`)
        .join(" "),
    ).toBe(wanted),
  );

  it("takes the means of each stretch", () => {
    const [first, second] = textStatistics(records(6000));
    expect(first.modelEntropy).toBeCloseTo(0.4995, 9);
    expect(first.sampledEntropy).toBeCloseTo(0.24975, 9);
    expect(second.modelEntropy).toBeCloseTo(3.4995, 9);
    expect([first.repeated, second.repeated]).toEqual([0, 0]);
  });

  it("counts only what is repeated within a stretch", () => {
    const loop = Array.from({ length: 500 }, (_, i) => i);
    const distinct = (from: number, length: number) => Array.from({ length }, (_, i) => from + i);
    // A stretch of its own; ten times the same 500 tokens; the same 500 once, and others.
    const tokens = [...distinct(0, 1000), ...Array.from({ length: 10 }, () => loop).flat(), ...loop];
    tokens.push(...distinct(1e6, 4500));
    const [warmUp, looping, after] = textStatistics({ ...records(11_000), tokens });
    expect(warmUp.repeated).toBe(0);
    expect(looping.repeated).toBeCloseTo(1 - 500 / 4993, 12);
    expect(after.repeated).toBe(0);
    expect(textStatistics({ ...records(7), tokens: tokens.slice(0, 7) })[0].repeated).toBeNaN();
  });
});
