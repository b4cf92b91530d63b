import { describe, expect, it } from "vitest";
import { precededBy, sliceTokens, splitHeldOut, type TokenSequence, tokensInMemory } from "./token-sequence.ts";

const count = (n: number) => tokensInMemory(Int32Array.from({ length: n }, (_, i) => i));

function all(sequence: TokenSequence): number[] {
  const out = new Int32Array(sequence.tokens);
  sequence.read(0, sequence.tokens, out);
  return [...out];
}

describe("sequences", () => {
  it("read windows, also of slices of slices", () => {
    const slice = sliceTokens(sliceTokens(count(10), 2, 9), 1, 5);
    expect(all(slice)).toEqual([3, 4, 5, 6]);
    const out = new Int32Array(4).fill(-1);
    slice.read(2, 2, out);
    expect([...out]).toEqual([5, 6, -1, -1]);
  });

  it("refuse ranges outside, even where the whole sequence goes on", () => {
    const slice = sliceTokens(count(10), 2, 6);
    const message = "read: 2 tokens from 3 into 8 places do not fit a sequence of 4 tokens";
    expect(() => slice.read(3, 2, new Int32Array(8))).toThrow(message);
    expect(() => slice.read(-1, 1, new Int32Array(8))).toThrow("do not fit");
    expect(() => slice.read(0, 3, new Int32Array(2))).toThrow("do not fit");
    expect(() => sliceTokens(count(10), 4, 11)).toThrow("slice: 4 to 11 is not a range of a sequence of 10 tokens");
  });
});

describe("a sequence with a token before it", () => {
  it("reads as one sequence", () => {
    const sequence = precededBy(7, count(4));
    expect(all(sequence)).toEqual([7, 0, 1, 2, 3]);
    const out = new Int32Array(2);
    sequence.read(0, 0, out);
    sequence.read(3, 2, out);
    expect([...out]).toEqual([2, 3]);
    sequence.read(0, 2, out);
    expect([...out]).toEqual([7, 0]);
    expect(() => sequence.read(4, 2, out)).toThrow("do not fit a sequence of 5 tokens");
  });
});

describe("the held-out part", () => {
  it("is the last fraction, and both parts together are all", () => {
    const { train, heldOut, at } = splitHeldOut(count(1000), 0.1);
    expect(at).toBe(900);
    expect([...all(train), ...all(heldOut)]).toEqual(all(count(1000)));
  });

  it("moves to the nearest document border within half its size", () => {
    expect(splitHeldOut(count(1000), 0.1, [0, 870, 940]).at).toBe(870);
    expect(splitHeldOut(count(1000), 0.1, [0, 860, 920]).at).toBe(920);
    expect(splitHeldOut(count(1000), 0.1, [0, 849, 951]).at).toBe(900);
    expect(splitHeldOut(count(1000), 0.1, [0]).at).toBe(900);
  });

  it("needs a fraction and enough tokens", () => {
    for (const fraction of [0, 1, -0.1, 2, Number.NaN]) {
      expect(() => splitHeldOut(count(10), fraction)).toThrow(
        `held-out fraction: expected a number between 0 and 1, got ${fraction}`,
      );
    }
    expect(() => splitHeldOut(count(3), 0.1)).toThrow("0.1 of 3 tokens leaves nothing to hold out; give more text");
    expect(() => splitHeldOut(count(1), 0.9)).toThrow("leaves nothing to train on");
  });
});
