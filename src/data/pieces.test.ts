import fc from "fast-check";
import { expect, it } from "vitest";
import { LONGEST_PIECE_UNITS, nextCut, PIECE_UNITS, requireWellFormed, splitText, splitWords } from "./pieces.ts";

const awkward = fc.constantFrom(
  " ",
  "  ",
  "\n",
  "\r\n",
  "\t",
  "\u00a0",
  "\u3000",
  "\u2003",
  "'",
  "'s",
  "'ll",
  "a",
  "Zz",
  "7",
  "42",
  ",",
  ".",
  "。",
  "字",
  "か",
  "한",
  "é",
  "😀",
  "—",
  "_",
  "\u0301",
  "\ufeff",
  "\u200b",
);

/** Long enough to be cut several times: a random phrase repeated, with random fragments between. */
const longText = fc
  .tuple(fc.array(awkward, { minLength: 1, maxLength: 40 }), fc.array(awkward, { minLength: 1, maxLength: 9 }))
  .map(([phrase, gap]) =>
    Array.from(
      { length: 1 + Math.ceil(90_000 / (phrase.join("").length * 3)) },
      (_, i) => phrase.join("") + gap[i % gap.length].repeat(1 + (i % 3)),
    ).join(""),
  );

it("joins back to the text, bounded, never inside a code point", () => {
  fc.assert(
    fc.property(longText, (text) => {
      const pieces = splitText(text);
      expect(pieces.join("")).toBe(text);
      for (const piece of pieces) {
        expect(piece.length).toBeLessThanOrEqual(LONGEST_PIECE_UNITS);
        requireWellFormed(piece, "piece");
      }
    }),
    { numRuns: 40 },
  );
});

it("cuts only where the pre-tokenizer splits, and changes no word before or after", () => {
  fc.assert(
    fc.property(longText, (text) => {
      const pieces = splitText(text);
      if (pieces.slice(0, -1).some((piece) => piece.length >= LONGEST_PIECE_UNITS - 1)) return;
      expect(pieces.flatMap(splitWords).join("\u0001")).toBe(splitWords(text).join("\u0001"));
    }),
    { numRuns: 40 },
  );
});

it("decides the same when the text arrives in parts", () => {
  fc.assert(
    fc.property(longText, fc.integer({ min: 999, max: 50_000 }), (text, step) => {
      const pieces: string[] = [];
      let start = 0;
      for (let arrived = 0; start < text.length; ) {
        arrived = Math.min(text.length, arrived + step);
        const seen = text.slice(0, arrived);
        const ended = arrived === text.length;
        for (let end = nextCut(seen, start, ended); end > start; end = nextCut(seen, start, ended)) {
          pieces.push(text.slice(start, end));
          start = end;
        }
      }
      expect(pieces).toEqual(splitText(text));
    }),
    { numRuns: 20 },
  );
});

it("cuts text without any good place between code points", () => {
  expect(splitText("x".repeat(3 * LONGEST_PIECE_UNITS)).map((piece) => piece.length)).toEqual(
    new Array(3).fill(LONGEST_PIECE_UNITS),
  );
  const emoji = splitText(`x${"😀".repeat(LONGEST_PIECE_UNITS)}`);
  expect(emoji[0].length).toBe(LONGEST_PIECE_UNITS - 1);
});

it("prefers white space, and takes marks where there is none", () => {
  expect(splitText(`${"ab ".repeat(7000)}`)[0]).toMatch(/ab$/);
  const chinese = splitText("字字字字。".repeat(9000));
  expect(chinese[0].length).toBeLessThanOrEqual(PIECE_UNITS);
  expect(chinese[1]).toMatch(/^。/);
});

it("names half of a surrogate pair", () => {
  expect(() => requireWellFormed("ab\ud800c", "prompt")).toThrow(
    "prompt: half of a surrogate pair (U+D800) at index 2 is not text",
  );
  requireWellFormed("😀", "prompt");
});
