import { describe, expect, it } from "vitest";
import { documentsInWindows } from "./document-windows.ts";

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

  it("leave padding out", () => {
    const tokens = Int32Array.of(5, 6, 7, 7, /**/ 7, 7, 7, 7);
    const real = Float32Array.of(1, 1, 0, 0, /**/ 0, 0, 0, 0);
    const [numbers, places, lengths] = rowsOf(documentsInWindows({ tokens, context: 4, endOfText: 0, real }));
    expect(numbers).toEqual([1, 1, 2, 2, 1, 1, 1, 1]);
    expect(places).toEqual([0, 1, 0, 1, 0, 1, 2, 3]);
    expect(lengths).toEqual([2, 2, 2, 2, 4, 4, 4, 4]);
  });
});
