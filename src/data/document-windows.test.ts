import { describe, expect, it } from "vitest";
import { trainingBatch } from "./batches.ts";
import { documentsInWindows } from "./document-windows.ts";
import { precededBy, tokensInMemory } from "./token-sequence.ts";

const rowsOf = (documents: Int32Array) => {
  const count = documents.length / 3;
  return [0, 1, 2].map((row) => [...documents.subarray(row * count, (row + 1) * count)]);
};

describe("documents in windows", () => {
  it("begin at the end-of-text token, and anew in each window", () => {
    const tokens = Int32Array.of(5, 6, 0, 7, 8, 9, /**/ 4, 0, 0, 3, 2, 0);
    const [numbers, places, lengths] = rowsOf(documentsInWindows({ tokens, context: 6, endOfText: 0 }));
    expect(numbers).toEqual([1, 1, 2, 2, 2, 2, /**/ 1, 2, 3, 3, 3, 4]);
    expect(places).toEqual([0, 1, 0, 1, 2, 3, /**/ 0, 0, 0, 1, 2, 0]);
    expect(lengths).toEqual([2, 2, 4, 4, 4, 4, /**/ 1, 1, 3, 3, 3, 1]);
  });

  it("are one a window where no token ends a text, and where it opens the window", () => {
    const [numbers, , lengths] = rowsOf(
      documentsInWindows({ tokens: Int32Array.of(1, 2, 3, 0, 2, 3), context: 3, endOfText: 0 }),
    );
    expect(numbers).toEqual([1, 1, 1, 1, 1, 1]);
    expect(lengths).toEqual([3, 3, 3, 3, 3, 3]);
  });

  it("have a border where a window goes on from the end of a text to its beginning", () => {
    const [context, batch, endOfText] = [7, 4, 0];
    const text = Int32Array.of(1, 2, 3, 4, 0, 5, 6, 7, 8, 9, 10, 11, 12, 0); // two documents
    const sequence = precededBy(endOfText, tokensInMemory(text));
    let turns = 0;
    for (let index = 0; index < 40; index++) {
      const { tokens, targets } = trainingBatch({ sequence, context, batch, seed: 1, index });
      const [numbers] = rowsOf(documentsInWindows({ tokens, context, endOfText }));
      for (let at = 1; at < tokens.length; at++) {
        if (at % context === 0 || tokens[at] > tokens[at - 1]) continue; // within a document they ascend
        if (tokens[at - 1] === 12) turns++;
        expect([tokens[at], numbers[at]]).toEqual([endOfText, numbers[at - 1] + 1]);
      }
      expect(targets.every((id, at) => id === endOfText || id === tokens[at] + 1 || tokens[at] === endOfText)).toBe(
        true,
      );
    }
    expect(turns).toBeGreaterThan(0);
  });

  it("leave padding out", () => {
    const tokens = Int32Array.of(5, 6, 7, 7, /**/ 7, 7, 7, 7);
    const real = Float32Array.of(1, 1, 0, 0, /**/ 0, 0, 0, 0);
    const [numbers, places, lengths] = rowsOf(documentsInWindows({ tokens, context: 4, endOfText: 0, real }));
    expect(numbers).toEqual([1, 1, 2, 2, 1, 1, 1, 1]);
    expect(places).toEqual([0, 1, 0, 1, 0, 1, 2, 3]);
    expect(lengths).toEqual([2, 2, 2, 2, 4, 4, 4, 4]);
  });
});
