import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { evaluationBatches, trainingBatch, windowsPerEpoch } from "./batches.ts";
import { tokensInMemory } from "./token-sequence.ts";

const count = (n: number) => tokensInMemory(Int32Array.from({ length: n }, (_, i) => i));

/** How often each token is a target in one epoch, batch size 1. */
function targetsOfEpoch(n: number, context: number, seed: number, epoch: number): number[] {
  const sequence = count(n);
  const windows = windowsPerEpoch(n, context);
  const seen = new Array<number>(n).fill(0);
  for (let i = 0; i < windows; i++) {
    const { targets } = trainingBatch({ sequence, context, batch: 1, seed, index: epoch * windows + i });
    for (const target of targets) seen[target]++;
  }
  return seen;
}

describe("training batches", () => {
  it("show every token exactly once an epoch as a target, whatever the sizes", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.nat(300),
        fc.integer(),
        fc.nat(5),
        (context, extra, seed, epoch) => {
          const n = context + 1 + extra;
          const seen = targetsOfEpoch(n, context, seed, epoch);
          expect(seen[0]).toBe(0);
          expect(Math.max(...seen)).toBe(1);
          expect(seen.filter((times) => times === 0).length - 1).toBe((n - 1) % context);
        },
      ),
      { numRuns: 150 },
    );
    expect(
      targetsOfEpoch(1 + 16 * 9, 16, 4, 2)
        .slice(1)
        .every((times) => times === 1),
    ).toBe(true);
  });

  it("pair each token with the one after it, and are contiguous but for one turn an epoch", () => {
    const n = 1 + 8 * 13 + 5;
    let turns = 0;
    for (let index = 0; index < 13; index++) {
      const { tokens, targets } = trainingBatch({ sequence: count(n), context: 8, batch: 1, seed: 3, index });
      expect([...targets]).toEqual([...tokens].map((token) => token + 1));
      for (let i = 1; i < 8; i++) {
        if (tokens[i] === tokens[i - 1] + 1) continue;
        expect([tokens[i - 1], tokens[i]]).toEqual([n - 2, 0]);
        turns++;
      }
    }
    expect(turns).toBeLessThanOrEqual(1);
  });

  it("do not depend on how examples are grouped or on what was asked before", () => {
    const sequence = count(1000);
    const request = { sequence, context: 16, seed: 11 };
    const single = Array.from({ length: 24 }, (_, index) => trainingBatch({ ...request, batch: 1, index }));
    for (const index of [5, 0, 2, 3, 1, 4, 2]) {
      const { tokens, targets } = trainingBatch({ ...request, batch: 4, index });
      const rows = single.slice(index * 4, index * 4 + 4);
      expect([...tokens]).toEqual(rows.flatMap((row) => [...row.tokens]));
      expect([...targets]).toEqual(rows.flatMap((row) => [...row.targets]));
    }
  });

  it("differ by seed, and by epoch in order and in where the windows begin", () => {
    const sequence = count(10_001);
    const firsts = (seed: number, epoch: number) =>
      Array.from(
        { length: 100 },
        (_, i) => trainingBatch({ sequence, context: 100, batch: 1, seed, index: epoch * 100 + i }).tokens[0],
      );
    const [a, b, c] = [firsts(1, 0), firsts(1, 1), firsts(2, 0)];
    expect(new Set([a, b, c].map((list) => list[0] % 100)).size).toBe(3);
    expect(a).toEqual(firsts(1, 0));
    expect(a).not.toEqual(a.toSorted((x, y) => x - y));
    expect(a).not.toEqual(b);
    expect(a).not.toEqual(c);
  });

  it("of a sequence of one window are that window", () => {
    for (let index = 0; index < 5; index++) {
      const { tokens, targets } = trainingBatch({ sequence: count(5), context: 4, batch: 1, seed: 9, index });
      expect([[...tokens], [...targets]]).toEqual([
        [0, 1, 2, 3],
        [1, 2, 3, 4],
      ]);
    }
  });

  it("refuse a text shorter than a context and numbers out of range", () => {
    const request = { sequence: count(8), context: 8, batch: 1, seed: 0, index: 0 };
    expect(() => trainingBatch(request)).toThrow(
      "context: a context of 8 needs at least 9 tokens, and the text has 8; give more text or a smaller context",
    );
    expect(() => trainingBatch({ ...request, context: 0 })).toThrow(
      "context: expected a whole number of at least 1, got 0",
    );
    expect(() => trainingBatch({ ...request, batch: 1.5 })).toThrow(
      "batch: expected a whole number of at least 1, got 1.5",
    );
    expect(() => trainingBatch({ ...request, index: -1 })).toThrow(
      "index: expected a whole number of at least 0, got -1",
    );
  });
});

describe("evaluation", () => {
  it("covers every token but the first exactly once, in order, in windows and in batches", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 200 }),
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 5 }),
        (n, context, batch) => {
          const expected = Array.from({ length: n - 1 }, (_, i) => i + 1);
          const targets: number[] = [];
          for (const window of evaluationBatches({ sequence: count(n), context, batch: 1 })) {
            expect(window.targets.length).toBe(context);
            expect([...window.targets.subarray(0, window.count)]).toEqual(
              [...window.tokens.subarray(0, window.count)].map((t) => t + 1),
            );
            targets.push(...window.targets.subarray(0, window.count));
            expect(window.tokens.subarray(window.count).every((token) => token === 0)).toBe(true);
          }
          expect(targets).toEqual(expected);
          const weighted: number[] = [];
          let total = 0;
          for (const group of evaluationBatches({ sequence: count(n), context, batch })) {
            expect([group.tokens.length, group.targets.length, group.weights.length]).toEqual(
              new Array(3).fill(batch * context),
            );
            group.weights.forEach((weight, i) => {
              if (weight === 1) weighted.push(group.targets[i]);
              else expect([weight, group.targets[i], group.tokens[i]]).toEqual([0, 0, 0]);
            });
            total += group.count;
          }
          expect(weighted).toEqual(expected);
          expect(total).toBe(n - 1);
        },
      ),
    );
  });

  it("with a stride count every target once, after as many tokens as there can be", () => {
    const sizes = fc.record({ context: fc.integer({ min: 1, max: 12 }), batch: fc.integer({ min: 1, max: 4 }) });
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 12 }), fc.integer({ min: 2, max: 80 }), (sizes, asked, n) => {
        const { context, batch } = sizes;
        const stride = Math.min(asked, context);
        const counted: number[] = [];
        for (const group of evaluationBatches({ sequence: count(n), ...sizes, stride })) {
          expect(group.weights.length).toBe(batch * context);
          for (const [i, weight] of group.weights.entries()) {
            if (group.real[i] === 1) expect(group.targets[i]).toBe(group.tokens[i] + 1);
            if (weight === 0) continue;
            expect(group.real[i]).toBe(1);
            counted.push(group.targets[i]);
            const before = i % context; // tokens of the window before the one that it predicts from
            expect(before).toBeGreaterThanOrEqual(Math.min(group.targets[i] - 1, context - stride));
          }
        }
        expect(counted).toEqual(Array.from({ length: n - 1 }, (_, i) => i + 1));
      }),
    );
  });

  it("needs two tokens", () => {
    expect(() => [...evaluationBatches({ sequence: count(1), context: 4, batch: 1 })]).toThrow(
      "evaluation: at least 2 tokens are needed, and the text has 1",
    );
  });
});
