/** The sample that a tokenizer is trained on: its size, its order, what is drawn by which seed, what is read for it. */
import { expect, it } from "vitest";
import { limited, parseLimit } from "./limit.ts";
import { sampleText } from "./text-sample.ts";
import { type TextSource, textInMemory } from "./text-source.ts";

const texts = Array.from({ length: 400 }, (_, i) => `${String(i).padStart(3, "0")} ${"x".repeat(96)}`);
const source = textInMemory("numbers", texts);
const numbers = (sample: readonly string[]) => sample.map((text) => Number(text.slice(0, 3)));

it("is everything in order when that fits", async () => {
  expect(await sampleText(source, { seed: 1, bytes: 40_000 })).toEqual(texts);
});

it("is otherwise of the size asked, by seed, in order, and from everywhere", async () => {
  const sample = await sampleText(source, { seed: 1, bytes: 5050 });
  expect(sample).toHaveLength(50);
  const drawn = numbers(sample);
  expect(drawn).toEqual(drawn.toSorted((a, b) => a - b));
  expect(await sampleText(source, { seed: 1, bytes: 5050 })).toEqual(sample);
  expect(await sampleText(source, { seed: 2, bytes: 5050 })).not.toEqual(sample);
  for (const quarter of [0, 1, 2, 3]) expect(drawn.some((n) => Math.floor(n / 100) === quarter)).toBe(true);
});

it("draws every piece equally often", async () => {
  const times = new Array(400).fill(0);
  for (let seed = 0; seed < 200; seed++) {
    for (const n of numbers(await sampleText(source, { seed, bytes: 10_000 }))) times[n]++;
  }
  // 200 draws of a quarter: mean 50, deviation 6.1; five deviations.
  expect(Math.min(...times)).toBeGreaterThan(19);
  expect(Math.max(...times)).toBeLessThan(81);
});

it("reads only a part of a source that is far larger, from inputs drawn by seed", async () => {
  const read = new Set<number>();
  const counting: TextSource = {
    ...source,
    async *pieces(inputs) {
      for await (const piece of source.pieces(inputs)) {
        read.add(piece.input);
        yield piece;
      }
    },
  };
  const sample = await sampleText(counting, { seed: 1, bytes: 200 });
  expect(read.size).toBe(64);
  expect(Math.max(...read)).toBeGreaterThan(300);
  expect(sample.length).toBeGreaterThan(0);
  expect(sample.length).toBeLessThanOrEqual(2);

  // Within a limit: the beginning alone, 64 times the sample of it.
  read.clear();
  await sampleText(limited(counting, parseLimit("30kB")), { seed: 1, bytes: 200 });
  expect(Math.max(...read)).toBe(127);
});

it("is cut off by a limit of documents or bytes, at the end of a document", async () => {
  const take = async (limit: string) => {
    const taken: { text: string; done: number }[] = [];
    for await (const piece of limited(source, parseLimit(limit)).pieces()) taken.push(piece);
    expect(taken.at(-1)?.done).toBe(1);
    return taken.map(({ text }) => text);
  };
  expect(await take("3docs")).toEqual(texts.slice(0, 3));
  expect(await take("1document")).toEqual(texts.slice(0, 1));
  expect(await take("250B")).toEqual(texts.slice(0, 3));
  expect(await take("0.2 kB")).toEqual(texts.slice(0, 2));
  expect(await take("1TB")).toEqual(texts);
  const long = limited(textInMemory("long", ["word ".repeat(20_000), "next"]), parseLimit("10kB"));
  let bytes = 0;
  for await (const piece of long.pieces()) bytes += piece.bytes;
  expect(bytes).toBe(100_000);
  for (const wrong of ["", "10", "10 apples", "-1MB", "0docs", "1.5docs"]) {
    expect(() => parseLimit(wrong)).toThrow(`\`limit\` ${wrong}: expected a size such as 500MB`);
  }
});
