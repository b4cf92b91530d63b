/** Bits of tokens by line: every unit and byte is in one line, whatever the tokens. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { LineLedger, type LineUnits, LONGEST_TEXT } from "./line-ledger.ts";

/** A tokenizer whose token i is the i-th of these byte strings. */
const tokensOf = (parts: readonly Uint8Array[]) => ({ bytesOf: (token: number) => parts[token] });

/** The lines of these tokens, one after the other. */
function linesOf(parts: readonly Uint8Array[], units: readonly number[]): LineUnits[] {
  const ledger = new LineLedger(tokensOf(parts));
  const lines = parts.flatMap((_, token) => ledger.add(token, units[token]));
  const last = ledger.end();
  return last ? [...lines, last] : lines;
}

const fragment = fc.constantFrom(
  "a",
  "bc ",
  "\n",
  "\r\n",
  "\n\n",
  "\n    ",
  "é",
  "字",
  "😀",
  "\u2028",
  "\r",
  "\t",
  "\0",
);
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

/** A text and places where its bytes are cut into tokens: in the middle of characters too. */
const cutText = fc
  .tuple(fc.array(fragment, { minLength: 1, maxLength: 40 }), fc.infiniteStream(fc.integer({ min: 1, max: 5 })))
  .map(([fragments, sizes]) => {
    const text = fragments.join("");
    const bytes = Buffer.from(text);
    const parts: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; ) {
      const size = sizes.next().value as number;
      parts.push(bytes.subarray(at, at + size));
      at += size;
    }
    return { text, parts };
  });

it("adds up exactly to the tokens, in units, tokens and bytes, and joins to the text", () => {
  const property = fc.property(cutText, fc.infiniteStream(fc.nat(2 ** 26)), ({ text, parts }, random) => {
    const units = parts.map(() => random.next().value as number);
    const lines = linesOf(parts, units);
    const bytes = Buffer.from(text);
    expect(sum(lines.map((line) => line.units))).toBe(sum(units));
    expect(sum(lines.map((line) => line.tokens))).toBe(parts.length);
    expect(sum(lines.map((line) => line.bytes))).toBe(bytes.length);
    expect(Math.max(...lines.map((line) => line.highest))).toBe(Math.max(...units));
    const wanted = text.split("\n");
    if (wanted.at(-1) === "") wanted.pop();
    expect(lines.map((line) => line.line)).toEqual(wanted.map((_, i) => i + 1));
    expect(lines.map((line) => line.text)).toEqual(
      wanted.map((line, i) => (i < wanted.length - 1 || text.endsWith("\n") ? line.replace(/\r$/, "") : line)),
    );
    for (const line of lines) expect(line.units).toBeGreaterThanOrEqual(0);
  });
  fc.assert(property, { numRuns: 300 });
});

it("divides a token over the lines that it crosses by its bytes, and counts it where it begins", () => {
  const parts = ["one", "\n\n", "\n   ", "x"].map((text) => Buffer.from(text));
  const lines = linesOf(parts, [5, 100, 80, 7]);
  expect(lines.map(({ units, tokens, bytes, highest, text }) => ({ units, tokens, bytes, highest, text }))).toEqual([
    { units: 55, tokens: 2, bytes: 4, highest: 100, text: "one" },
    { units: 50, tokens: 0, bytes: 1, highest: 0, text: "" },
    { units: 20, tokens: 1, bytes: 1, highest: 80, text: "" },
    { units: 67, tokens: 1, bytes: 4, highest: 7, text: "   x" },
  ]);
});

it("keeps the beginning of a line of any length, in whole characters", () => {
  const parts = Array.from({ length: 3000 }, () => Buffer.from("字"));
  const [line, ...more] = linesOf([Buffer.from("ab"), ...parts], [1, ...parts.map(() => 2)]);
  expect(more).toEqual([]);
  expect(line).toMatchObject({ units: 6001, tokens: 3001, bytes: 9002, cut: true });
  expect(line.text).toBe(`ab${"字".repeat(Math.floor((LONGEST_TEXT - 2) / 3))}`);
});
