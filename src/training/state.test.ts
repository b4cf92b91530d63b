import { describe, expect, it } from "vitest";
import { placeInData } from "./state.ts";

const corpora = [
  { name: "wiki", sequence: { tokens: 1000 } },
  { name: "pg19", sequence: { tokens: 500 } },
];
const stored = { examples: 24, drawn: [20, 4], tokens: [1000, 500] };
const request = { stored, step: 3, examplesPerStep: 8, corpora };

describe("the place in the data", () => {
  it("is the one stored, or follows from the step where a single corpus has none", () => {
    expect(placeInData(request)).toEqual(stored);
    expect(placeInData({ ...request, stored: undefined, corpora: corpora.slice(1) })).toEqual({
      examples: 24,
      drawn: [24],
      tokens: [500],
    });
  });

  it.each([
    [undefined, "expected a place in the data for 2 corpora, got none"],
    [{ ...stored, drawn: [24] }, "its place in the data has 1 for the number of corpora, and the run has 2"],
    [{ ...stored, drawn: [20, 5] }, "after 24 examples, got 24, of which 25 are of the corpora"],
    [{ ...stored, examples: 16, drawn: [12, 4] }, "expected a place in the data after 24 examples, got 16"],
  ])("that is no place of the run is refused: %j", (stored, message) => {
    expect(() => placeInData({ ...request, stored })).toThrow(expect.objectContaining({ code: "checkpoint" }));
    expect(() => placeInData({ ...request, stored })).toThrow(message);
  });

  it("tells corpora of as many tokens apart by their digests, where both are known", () => {
    const known = corpora.map((corpus, i) => ({ ...corpus, digest: `digest ${i}` }));
    const digests = ["digest 0", "digest 1"];
    expect(placeInData({ ...request, corpora: known })).toEqual({ ...stored, digests }); // of a checkpoint without
    expect(placeInData({ ...request, corpora: known, stored: { ...stored, digests } })).toEqual({ ...stored, digests });
    const other = { ...stored, digests: ["digest 0", "digest 2"] };
    expect(() => placeInData({ ...request, corpora: known, stored: other })).toThrow(
      expect.objectContaining({
        code: "data",
        message:
          "data: pg19 has other tokens than when the run was saved, though as many; bring back what it was, or train anew",
      }),
    );
  });

  it("in another corpus than the one begun with is refused, with its name", () => {
    const changed = { ...stored, tokens: [1000, 501] };
    expect(() => placeInData({ ...request, stored: changed })).toThrow(
      expect.objectContaining({
        code: "data",
        message:
          "data: pg19 has 500 tokens to learn and had 501 when the run was saved; bring back what it was, or train anew",
      }),
    );
  });
});
