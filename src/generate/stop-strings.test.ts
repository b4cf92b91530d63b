import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { StopStrings } from "./stop-strings.ts";

function run(stops: readonly string[], pieces: readonly string[]): { text: string; found: boolean } {
  const scanner = new StopStrings(stops);
  const text = pieces.map((piece) => scanner.push(piece)).join("") + scanner.flush();
  return { text, found: scanner.found };
}

describe("stop strings", () => {
  it("are found across pieces, and no part of them is returned", () => {
    const scanner = new StopStrings(["</end>"]);
    expect(scanner.push("some text <")).toBe("some text ");
    expect(scanner.push("/e")).toBe("");
    expect(scanner.push("m> is not it, <")).toBe("</em> is not it, ");
    expect(scanner.push("/end")).toBe("");
    expect(scanner.found).toBe(false);
    expect(scanner.push("> gone")).toBe("");
    expect(scanner.found).toBe(true);
    expect(scanner.push("gone")).toBe("");
    expect(scanner.flush()).toBe("");
  });

  it("return an unfinished beginning at the end", () =>
    expect(run(["END"], ["x EN"])).toEqual({ text: "x EN", found: false }));

  it("may overlap themselves", () => expect(run(["aab"], ["aa", "a", "b"])).toEqual({ text: "a", found: true }));

  it("refuse an empty one", () => expect(() => new StopStrings(["a", ""])).toThrow("`stop`: expected some text"));

  it("do not depend on the division into pieces", () => {
    const letters = (max: number) => fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 1, maxLength: max });
    fc.assert(
      fc.property(fc.array(letters(4), { maxLength: 3 }), fc.array(letters(5), { maxLength: 12 }), (stops, pieces) => {
        const whole = pieces.join("");
        expect(run(stops, pieces)).toEqual(run(stops, [...whole]));
        let end = 0;
        while (end <= whole.length && !stops.some((stop) => whole.slice(0, end).endsWith(stop))) end++;
        const matched = stops.filter((stop) => whole.slice(0, end).endsWith(stop));
        const length = end > whole.length ? whole.length : end - Math.max(...matched.map((stop) => stop.length));
        expect(run(stops, pieces)).toEqual({ text: whole.slice(0, length), found: end <= whole.length });
      }),
      { numRuns: 300 },
    );
  });
});
