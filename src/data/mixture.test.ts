import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { trainingBatch, windowsPerEpoch } from "./batches.ts";
import { type DataCursor, firstPlace, type MixtureBatchRequest, mixtureBatch, type WeightedCorpus } from "./mixture.ts";
import { openShards, writeShards } from "./shards.node.ts";
import { textInMemory } from "./text-source.ts";
import { type TokenSequence, tokensInMemory } from "./token-sequence.ts";
import { trainTokenizer } from "./tokenizer.node.ts";

/** Ids from `first` on, so that each says which corpus it is of. */
const count = (n: number, first = 0) => tokensInMemory(Int32Array.from({ length: n }, (_, i) => first + i));

const FAR = 1_000_000;
const corpora: WeightedCorpus[] = [
  { sequence: count(1 + 16 * 7), weight: 5 },
  { sequence: count(1 + 16 * 12 + 9, FAR), weight: 2 },
  { sequence: count(1 + 16, 2 * FAR), weight: 1 },
];
const request = { corpora, context: 16, batch: 1, seed: 3 };

/** Draws batches and returns their rows of targets, with the place after them. */
function draw(count: number, { cursor = firstPlace(corpora), ...more }: Partial<MixtureBatchRequest> = {}) {
  const rows: number[][] = [];
  let at: DataCursor = cursor;
  for (let i = 0; i < count; i++) {
    const drawn = mixtureBatch({ ...request, ...more, cursor: at });
    const { context } = { ...request, ...more };
    for (let row = 0; row < drawn.batch.targets.length; row += context) {
      rows.push([...drawn.batch.targets.subarray(row, row + context)]);
    }
    at = drawn.cursor;
  }
  return { rows, cursor: at };
}

describe("a mixture", () => {
  it("draws each corpus as often as its weight says, within what chance allows", () => {
    const n = 20_000;
    for (const seed of [1, 2]) {
      const { cursor } = draw(n / 100, { seed, batch: 100 });
      expect(cursor.examples).toBe(n);
      expect(cursor.drawn.reduce((a, b) => a + b)).toBe(n);
      for (const [i, { weight }] of corpora.entries()) {
        const p = weight / 8;
        expect(Math.abs(cursor.drawn[i] - n * p)).toBeLessThan(4 * Math.sqrt(n * p * (1 - p)));
      }
    }
  });

  it("is the same by seed, whatever the scale of the weights, and another by another seed", () => {
    const once = draw(200);
    expect(draw(200)).toEqual(once);
    const scaled = corpora.map(({ sequence, weight }) => ({ sequence, weight: 4 * weight }));
    expect(draw(200, { corpora: scaled })).toEqual(once);
    const which = (rows: number[][]) => rows.map(([target]) => Math.floor(target / FAR));
    expect(which(draw(200, { seed: 4 }).rows)).not.toEqual(which(once.rows));
  });

  it("visits every window of each corpus once in each of its epochs, and joins no two corpora", () => {
    const { rows } = draw(400);
    for (const [i, { sequence }] of corpora.entries()) {
      const own = rows.filter(([target]) => Math.floor(target / FAR) === i);
      for (const row of own) expect(row.every((target) => Math.floor(target / FAR) === i)).toBe(true);
      const windows = windowsPerEpoch(sequence.tokens, 16);
      const epochs = Math.floor(own.length / windows);
      expect(epochs).toBeGreaterThan(2);
      const orders = new Set<string>();
      for (let epoch = 0; epoch < epochs; epoch++) {
        const visited = own.slice(epoch * windows, (epoch + 1) * windows).flat();
        expect(new Set(visited).size).toBe(16 * windows);
        orders.add(visited.join());
      }
      if (windows > 1) expect(orders.size).toBe(epochs);
    }
  });

  it("gives two corpora of one length orders of their own", () => {
    const twins = [count(1 + 16 * 40), count(1 + 16 * 40, FAR)].map((sequence) => ({ sequence, weight: 1 }));
    const { rows } = draw(70, { corpora: twins, cursor: firstPlace(twins) });
    const [one, other] = [0, 1].map((i) => rows.map(([target]) => target - i * FAR).filter((t) => t >= 0 && t < FAR));
    expect(one.slice(0, 20)).not.toEqual(other.slice(0, 20));
  });

  it("goes on from a place as if it had come there from the beginning, however examples are grouped", () => {
    const whole = draw(120);
    for (const done of [1, 40, 119]) {
      const { cursor } = draw(done);
      expect(JSON.parse(JSON.stringify(cursor))).toEqual(cursor);
      expect(draw(120 - done, { cursor }).rows).toEqual(whole.rows.slice(done));
    }
    expect(draw(30, { batch: 4 })).toEqual(whole);
  });

  it("of a single corpus is that corpus in its own order", () => {
    const [only] = corpora;
    let cursor = firstPlace([only]);
    for (let index = 0; index < 20; index++) {
      const next = mixtureBatch({ ...request, corpora: [only], batch: 3, cursor });
      expect(next.batch).toEqual(trainingBatch({ sequence: only.sequence, context: 16, batch: 3, seed: 3, index }));
      cursor = next.cursor;
    }
    expect(cursor).toEqual({ examples: 60, drawn: [60], tokens: [only.sequence.tokens] });
  });

  it("of corpora of any size reads one window an example and nothing else", () => {
    let read = 0;
    const endless = (tokens: number): TokenSequence => ({
      tokens,
      read(offset, length, out) {
        read += length;
        for (let i = 0; i < length; i++) out[i] = (offset + i) % 1000;
      },
    });
    const large = [endless(4e12), endless(5e9)].map((sequence) => ({ sequence, weight: 1 }));
    const far = { examples: 2e9, drawn: [1_000_000_007, 999_999_993], tokens: [4e12, 5e9] };
    const { cursor } = draw(10, { corpora: large, context: 100, batch: 5, cursor: far });
    expect(cursor.examples).toBe(2e9 + 50);
    expect(read).toBeLessThanOrEqual(50 * 102);
  });

  it("refuses weights that are none, a place of other corpora, and a corpus shorter than a context", () => {
    for (const weight of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      const wrong = [corpora[0], { ...corpora[1], weight }];
      expect(() => draw(1, { corpora: wrong, cursor: firstPlace(wrong) })).toThrow(
        `mixture: expected weights above 0, got ${weight}`,
      );
    }
    expect(() => draw(1, { cursor: firstPlace(corpora.slice(1)) })).toThrow(
      "mixture: expected a place in each of 3 corpora, got 2",
    );
    expect(() => draw(100, { context: 17 })).toThrow("a context of 17 needs at least 18 tokens, and the text has 17");
    expect(() => draw(1, { batch: 0 })).toThrow("batch: expected a whole number of at least 1, got 0");
  });
});

describe("a mixture of shards on disk", () => {
  const folder = mkdtempSync(join(tmpdir(), "longhand-mixture-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("gives the same examples when they are kept in memory, in part, or not at all", async () => {
    const texts = [1, 2].map((n) =>
      textInMemory(
        `text ${n}`,
        Array.from({ length: 40 }, (_, i) => `Document ${i} of text ${n}. `.repeat(5)),
      ),
    );
    const tokenizer = await trainTokenizer({ source: texts[0], vocabSize: 270, seed: 1 });
    for (const [i, source] of texts.entries()) {
      await writeShards({ source, tokenizer, out: join(folder, `${i}`), maxTokensPerShard: 500 });
    }
    const rowsWith = async (cacheBytes: number) => {
      const opened = await Promise.all(texts.map((_, i) => openShards(join(folder, `${i}`), { cacheBytes })));
      const shards = opened.map((sequence, i) => ({ sequence, weight: i + 1 }));
      expect(opened[0].tokens).toBeGreaterThan(2000); // several shards
      const { rows } = draw(60, { corpora: shards, context: 50, batch: 4, cursor: firstPlace(shards) });
      const all = opened.map((sequence) => {
        const ids = new Int32Array(sequence.tokens);
        sequence.read(0, ids.length, ids);
        return tokensInMemory(ids);
      });
      for (const sequence of opened) sequence.close();
      return { rows, all };
    };
    const { rows, all } = await rowsWith(2 ** 20);
    expect((await rowsWith(0)).rows).toEqual(rows);
    expect((await rowsWith(1500)).rows).toEqual(rows);
    const inMemory = all.map((sequence, i) => ({ sequence, weight: i + 1 }));
    expect(draw(60, { corpora: inMemory, context: 50, batch: 4, cursor: firstPlace(inMemory) }).rows).toEqual(rows);
  });
});
