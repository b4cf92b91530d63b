/** Lanes: each reads on where it stopped, none a token that another reads in the same epoch, whatever the sizes. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type LaneBatchRequest, laneBatch, laneWindow, windowsPerLane } from "./lanes.ts";
import { firstPlace } from "./mixture.ts";
import { tokensInMemory } from "./token-sequence.ts";

const count = (n: number) => tokensInMemory(Int32Array.from({ length: n }, (_, i) => i));

/** The examples of some steps, of one corpus or several, each with where it comes from. */
function examplesOf(request: Omit<LaneBatchRequest, "cursor">, steps: number) {
  const { context, batch, lanes, corpora } = request;
  let cursor = firstPlace(corpora, lanes);
  const examples: { corpus: number; lane: number; begins: boolean; tokens: number[]; targets: number[] }[] = [];
  for (let made = 0; made < steps * lanes; made += batch) {
    const next = laneBatch({ ...request, cursor });
    cursor = next.cursor;
    for (const [row, from] of next.rows.entries()) {
      const own = (all: Int32Array) => [...all.subarray(row * context, (row + 1) * context)];
      examples.push({ ...from, tokens: own(next.batch.tokens), targets: own(next.batch.targets) });
    }
  }
  return { examples, cursor };
}

describe("lanes", () => {
  it("cover each epoch, but for less than a window of each lane and one more, with no token twice", () => {
    const sizes = fc.record({
      context: fc.integer({ min: 1, max: 9 }),
      lanes: fc.integer({ min: 1, max: 6 }),
      extra: fc.nat(200),
      seed: fc.nat(),
      epoch: fc.nat(3),
    });
    fc.assert(
      fc.property(sizes, ({ context, lanes, extra, seed, epoch }) => {
        const n = lanes * context + 1 + extra;
        const request = { corpora: [{ sequence: count(n), weight: 1 }], context, batch: 1, lanes, seed };
        const perLane = windowsPerLane({ tokens: n, context, lanes });
        const { examples } = examplesOf(request, (epoch + 1) * perLane);
        const targets = examples.slice(epoch * perLane * lanes).flatMap((example) => example.targets);
        expect(new Set(targets).size).toBe(targets.length);
        expect(targets).not.toContain(0);
        expect(n - 1 - targets.length).toBeLessThan((lanes + 1) * context);
      }),
      { numRuns: 60 },
    );
  });

  it("read on where they stopped, and begin anew with each epoch", () => {
    const [n, context, lanes] = [103, 4, 3];
    const corpora = [{ sequence: count(n), weight: 1 }];
    const { examples } = examplesOf({ corpora, context, batch: 3, lanes, seed: 5 }, 20);
    const perLane = windowsPerLane({ tokens: n, context, lanes }); // 8
    const firsts = new Set<number>();
    for (let lane = 0; lane < lanes; lane++) {
      const own = examples.filter((example) => example.lane === lane);
      expect(own.map(({ begins }) => begins)).toEqual(own.map((_, i) => i % perLane === 0));
      for (const [i, { begins, tokens }] of own.entries()) {
        if (!begins)
          expect(tokens[0]).toBe(own[i - 1].targets[context - 1] % (n - 1)); // over the end: its beginning
        else if (lane === 0) firsts.add(tokens[0]);
      }
    }
    expect(firsts.size).toBe(3); // another place in each of three epochs
  });

  it("follow from the seed, the lane and the windows it has read, in a mixture too", () => {
    const corpora = [
      { sequence: count(200), weight: 3 },
      { sequence: count(90), weight: 1 },
    ];
    const request = { corpora, context: 5, batch: 2, lanes: 4, seed: 11 };
    const { examples, cursor } = examplesOf(request, 30);
    const read = corpora.map(() => [0, 0, 0, 0]);
    for (const { corpus, lane, begins, tokens } of examples) {
      const { tokens: n } = corpora[corpus].sequence;
      const window = laneWindow({ tokens: n, context: 5, lanes: 4, seed: 11, corpus }, lane, read[corpus][lane]++);
      expect({ start: tokens[0], begins }).toEqual(window);
    }
    expect(cursor).toMatchObject({ examples: 120, lanes: read, drawn: read.map((all) => all.reduce((a, b) => a + b)) });
    expect(Math.min(...read.flat())).toBeGreaterThan(0);
    expect(examplesOf({ ...request, batch: 4 }, 30).examples).toEqual(examples);
    expect(examplesOf({ ...request, seed: 12 }, 30).examples).not.toEqual(examples);
  });

  it("need a window each", () => {
    const request = { context: 8, lanes: 4 };
    expect(windowsPerLane({ ...request, tokens: 33 })).toBe(1);
    expect(() => windowsPerLane({ ...request, tokens: 32 })).toThrow(
      "lanes: 4 of 8 tokens each need at least 33 tokens, and the text has 32; give more text or a smaller batch",
    );
  });
});
