import { describe, expect, it } from "vitest";
import { randomKey, randomUniform } from "../base/random.ts";
import { checkSampling, type SamplingOptions, sample } from "./sampling.ts";

const logits = Float32Array.of(1.2, -0.3, 2.5, 0.4, 2.5, -4, Number.NEGATIVE_INFINITY, 1.9);
const N = 40_000;

/** How often each token was chosen, of N draws. */
function frequencies(options: SamplingOptions): number[] {
  const key = randomKey(1, "frequencies");
  const counts = new Array<number>(logits.length).fill(0);
  for (let i = 0; i < N; i++) counts[sample(logits, { ...options, uniform: randomUniform(key, i) })] += 1 / N;
  return counts;
}

/** Softmax at a temperature over the given tokens only. */
function probabilities(temperature: number, ids: readonly number[]): number[] {
  const weights = Array.from(logits, (logit, id) => (ids.includes(id) ? Math.exp(logit / temperature) : 0));
  const total = weights.reduce((a, b) => a + b);
  return weights.map((w) => w / total);
}

function expectDistribution(actual: number[], wanted: number[]): void {
  for (const [id, p] of wanted.entries()) {
    if (p === 0) expect(actual[id], `token ${id}`).toBe(0);
    else expect(Math.abs(actual[id] - p), `token ${id}`).toBeLessThan(5 * Math.sqrt((p * (1 - p)) / N) + 1e-9);
  }
}

describe("sample", () => {
  const all = [0, 1, 2, 3, 4, 5, 7];
  it.each([
    ["softmax", {}, 1, all],
    ["a temperature", { temperature: 0.5 }, 0.5, all],
    ["top-k, the lower index first among equals", { topK: 1 }, 1, [2]],
    ["top-k", { topK: 3 }, 1, [2, 4, 7]],
    ["top-k of more than there are", { topK: 100 }, 1, all],
    ["top-p", { topP: 0.6 }, 1, [2, 4]], // 0.337 each, then 0.185
    ["top-p just above what two reach", { topP: 0.68 }, 1, [2, 4, 7]],
    ["top-p of what a temperature leaves", { topP: 0.6, temperature: 2 }, 2, [2, 4, 7]],
    ["top-p of what top-k leaves", { topK: 3, topP: 0.7 }, 1, [2, 4]], // 0.392 each of the three
    ["the smallest top-p", { topP: 1e-9 }, 1, [2]],
  ])("draws from %s", (_, options, temperature, ids) =>
    expectDistribution(frequencies(options), probabilities(temperature, ids)),
  );

  it("at temperature 0 takes the likeliest for any random number", () => {
    for (const uniform of [0, 0.5, 0.999999]) expect(sample(logits, { temperature: 0, uniform })).toBe(2);
    expect(sample(logits, { temperature: 1e-30, uniform: 0.999 })).toBeGreaterThan(1); // 2 or 4: no overflow
  });

  it("covers the whole range of random numbers", () => {
    expect(sample(logits, { uniform: 0 })).toBe(0);
    expect(sample(logits, { uniform: 1 - 2 ** -32 })).toBe(7);
    expect([2, 4]).toContain(sample(logits, { topK: 2, uniform: 1 - 2 ** -32 }));
  });

  it("finds the nucleus of a flat distribution over a large vocabulary", () => {
    const flat = new Float32Array(8192);
    const chosen = Array.from({ length: 500 }, (_, i) => sample(flat, { topP: 0.25, uniform: i / 500 }));
    expect(Math.max(...chosen)).toBeLessThan(2048);
    expect(Math.max(...chosen)).toBeGreaterThan(2040);
  });

  it("refuses logits that cannot be sampled", () => {
    const bad = (value: number) => () => sample(Float32Array.of(0, value, 1), { uniform: 0.5 });
    expect(bad(Number.NaN)).toThrow("logit of token 1: expected a finite number, got NaN");
    expect(bad(Number.POSITIVE_INFINITY)).toThrow("got Infinity");
    expect(() => sample(new Float32Array(2).fill(Number.NEGATIVE_INFINITY), { uniform: 0 })).toThrow(
      "expected one that is finite",
    );
  });

  it.each([
    [{ temperature: -1 }, "`temperature`: expected a number of 0 or more, got -1"],
    [{ temperature: Number.NaN }, "`temperature`: expected a number of 0 or more, got NaN"],
    [{ topK: 0 }, "`topK`: expected a whole number of 1 or more, got 0"],
    [{ topK: 1.5 }, "`topK`: expected a whole number of 1 or more, got 1.5"],
    [{ topP: 0 }, "`topP`: expected a number above 0 and up to 1, got 0"],
    [{ topP: 1.1 }, "`topP`: expected a number above 0 and up to 1, got 1.1"],
    [{ minP: -0.1 }, "`minP`: expected a number from 0 to 1, got -0.1"],
    [{ minP: Number.NaN }, "`minP`: expected a number from 0 to 1, got NaN"],
    [{ typicalP: 0 }, "`typicalP`: expected a number above 0 and up to 1, got 0"],
    [{ repetitionPenalty: 0 }, "`repetitionPenalty`: expected a number above 0, got 0"],
    [{ repetitionPenalty: Number.POSITIVE_INFINITY }, "`repetitionPenalty`: expected a number above 0, got Infinity"],
    [{ repetitionWindow: 0 }, "`repetitionWindow`: expected a whole number from 1 to 1000000, got 0"],
    [{ repetitionWindow: 1e7 }, "`repetitionWindow`: expected a whole number from 1 to 1000000, got 10000000"],
  ])("refuses %j", (options, message) => expect(() => checkSampling(options)).toThrow(message));
});
