/** Text that arrives over time: the same pieces however it is divided, and complete lines at once when it pauses. */
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { expect, it } from "vitest";
import { splitText, splitWords } from "../../data/pieces.ts";
import { type ArrivingOptions, type ArrivingPiece, arrivingPieces } from "./arriving.ts";

async function all(parts: AsyncIterable<string>, options?: ArrivingOptions): Promise<ArrivingPiece[]> {
  const pieces: ArrivingPiece[] = [];
  for await (const piece of arrivingPieces(parts, options)) pieces.push(piece);
  return pieces;
}

async function* at(times: readonly (readonly [milliseconds: number, text: string])[]) {
  for (const [milliseconds, text] of times) {
    if (milliseconds > 0) await sleep(milliseconds);
    yield text;
  }
}

it("cuts a text as if it were there at once, however it arrives", async () => {
  const lines = fc.array(fc.constantFrom("a line\n", "\n", "    indented\r\n", "字字字", "x".repeat(900), " "), {
    minLength: 1,
    maxLength: 200,
  });
  await fc.assert(
    fc.asyncProperty(lines, fc.integer({ min: 1, max: 9000 }), async (fragments, size) => {
      const text = fragments.join("").repeat(3);
      const parts = text.match(new RegExp(`[^]{1,${size}}`, "g")) ?? [];
      const pieces = await all(at(parts.map((part) => [0, part])), { pauseMs: 60_000 });
      expect(pieces.map((piece) => piece.text)).toEqual(splitText(text));
      expect(pieces.some(({ pause }) => pause)).toBe(false);
    }),
    { numRuns: 40 },
  );
});

it("hands over complete lines when the input pauses, and keeps the words of the text", async () => {
  const times = [
    [0, "one\ntw"],
    [150, "o\r\n"],
    [150, "three\nfour"],
    [150, "\n"],
  ] as const;
  const pieces = await all(at(times), { pauseMs: 20 });
  expect(pieces).toEqual([
    { text: "one", pause: false },
    { text: "\n", pause: true },
    { text: "two\r", pause: false },
    { text: "\n", pause: true },
    { text: "three", pause: false },
    { text: "\n", pause: true },
    { text: "four\n", pause: false },
  ]);
  const text = times.map(([, part]) => part).join("");
  expect(pieces.flatMap((piece) => splitWords(piece.text))).toEqual(splitWords(text));
});

it("counts a pause from the first line that is complete, also while more arrives in small parts", async () => {
  const pieces = await all(at(Array.from({ length: 30 }, () => [10, "line\n"] as const)), { pauseMs: 50 });
  expect(pieces.filter(({ pause }) => pause).length).toBeGreaterThan(2);
});

it("ends where it is when it is told to stop, while it waits", async () => {
  const stopping = new AbortController();
  setTimeout(() => stopping.abort(), 50);
  const times = [[0, "begun"] as const, [3_000, "never"] as const];
  const pieces = await all(at(times), { signal: stopping.signal });
  expect(pieces).toEqual([{ text: "begun", pause: false }]);
});
