/** The sampler against its definition in plain loops over whole distributions, for every option and all together. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { entropyOfLogits, Sampler, type SamplingOptions, sample } from "./sampling.ts";

type Before = readonly number[];

/** The probability of each token, by sorting and adding up. */
function plainDistribution(logits: Float32Array, options: SamplingOptions, before: Before = []): number[] {
  const { temperature = 1, topK = logits.length, topP = 1, minP = 0, typicalP = 1 } = options;
  const { repetitionPenalty = 1, repetitionWindow = 256 } = options;
  const recent = before.slice(Math.max(0, before.length - repetitionWindow));
  const scores = Array.from(logits, (logit, id) => {
    if (!recent.includes(id)) return logit;
    return Math.fround(logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty);
  });
  const byRank = [...scores.keys()].sort((a, b) => (scores[a] === scores[b] ? a - b : scores[a] > scores[b] ? -1 : 1));
  const highest = scores[byRank[0]];
  if (temperature === 0) return scores.map((_, id) => (id === byRank[0] ? 1 : 0));
  const weights = scores.map((score) => Math.exp((score - highest) / temperature));
  const sum = (ids: readonly number[]) => ids.reduce((total, id) => total + weights[id], 0);
  /** The fewest of the first that have the share p of the weight of all. */
  const fewest = (ids: readonly number[], p: number) => {
    let count = 0;
    for (let weight = 0; count < ids.length && weight < p * sum(ids); count++) weight += weights[ids[count]];
    return ids.slice(0, count);
  };
  let left: readonly number[] = byRank.slice(0, topK);
  if (topP < 1) left = fewest(left, topP);
  left = left.filter((id) => weights[id] >= minP * weights[byRank[0]]);
  if (typicalP < 1) {
    const probabilities = left.map((id) => weights[id] / sum(left));
    const entropy = entropyOf(probabilities);
    const distances = probabilities.map((p) => Math.fround(Math.abs(-Math.log(p) - entropy)));
    const order = [...left.keys()].sort((a, b) => {
      return distances[a] === distances[b] ? left[a] - left[b] : distances[a] - distances[b];
    });
    left = fewest(
      order.map((at) => left[at]),
      typicalP,
    );
  }
  return weights.map((weight, id) => (left.includes(id) ? weight / sum(left) : 0));
}

function entropyOf(probabilities: readonly number[]): number {
  return probabilities.reduce((sum, p) => (p > 0 ? sum - p * Math.log(p) : sum), 0);
}

const DRAWS = 500;

/** Random numbers at equal distances choose each token as often as its probability says, give or take one. */
function expectSame(logits: Float32Array, options: SamplingOptions, before: Before = []): void {
  const sampler = new Sampler(logits.length, options);
  for (const token of before) sampler.read(token);
  const given = logits.slice();
  const counts = new Array<number>(logits.length).fill(0);
  for (let i = 0; i < DRAWS; i++) counts[sampler.choose(logits, (i + 0.5) / DRAWS)]++;
  expect(logits).toEqual(given);
  const wanted = plainDistribution(logits, options, before);
  for (const [id, p] of wanted.entries()) {
    if (p === 0) expect(counts[id], `token ${id}`).toBe(0);
    expect(Math.abs(counts[id] - DRAWS * p), `token ${id}`).toBeLessThanOrEqual(1 + 1e-9);
  }
  expect(Math.abs(sampler.entropy() - entropyOf(wanted))).toBeLessThan(1e-9);
}

const V = 12;
const share = fc.integer({ min: 1, max: 999 }).map((thousandths) => (thousandths + 0.37) / 1000);
const anyLogits = fc.array(
  fc.oneof(
    fc.double({ min: -6, max: 6, noNaN: true }),
    fc.integer({ min: -2, max: 2 }), // ties, zero among them
    fc.constantFrom(Number.NEGATIVE_INFINITY, -1e30, -0),
  ),
  { minLength: V, maxLength: V },
);
const logitsOf = (numbers: readonly number[]) => Float32Array.from([0.5, ...numbers.slice(1)]); // one can be chosen
const anyBefore = fc.array(fc.nat(V - 1), { maxLength: 30 });
const anyOptions = fc.record({
  temperature: fc.constantFrom(undefined, 0, 0.3, 1, 2),
  topK: fc.constantFrom(undefined, 1, 2, 5, 100),
  topP: fc.option(share, { nil: undefined }),
  minP: fc.option(share, { nil: undefined }),
  typicalP: fc.option(share, { nil: undefined }),
  repetitionPenalty: fc.constantFrom(undefined, 0.7, 1, 1.2, 3),
  repetitionWindow: fc.constantFrom(undefined, 1, 4, 20),
});

describe("the sampler agrees with plain loops", () => {
  const only = (name: keyof SamplingOptions) => anyOptions.map((options) => ({ [name]: options[name] }));
  it.each(["temperature", "topK", "topP", "minP", "typicalP"] as const)("for %s alone", (name) => {
    fc.assert(
      fc.property(anyLogits, only(name), (numbers, options) => expectSame(logitsOf(numbers), options)),
      { numRuns: 60 },
    );
  });

  it("for all options together, after any text", () => {
    fc.assert(
      fc.property(anyLogits, anyOptions, anyBefore, (numbers, options, before) =>
        expectSame(logitsOf(numbers), options, before),
      ),
      { numRuns: 300 },
    );
  });

  it.each<[string, number[]]>([
    ["one token left", [-Infinity, 3, -Infinity]],
    ["all probability on one token", [0, 1000, 0, -1000]],
    ["equal logits", [2, 2, 2, 2, 2]],
    ["two of three equal", [1, 0, 1]],
    ["a vocabulary of one", [-7]],
  ])("for %s", (_, numbers) => {
    const logits = Float32Array.from(numbers);
    for (const typicalP of [undefined, 0.001, 0.5, 0.999]) {
      for (const minP of [undefined, 0.001, 1]) {
        for (const repetitionPenalty of [undefined, 1.3]) {
          for (const temperature of [0, 0.5, 1])
            expectSame(logits, { typicalP, minP, repetitionPenalty, temperature }, [0, logits.length - 1]);
        }
      }
    }
  });
});

describe("what each option leaves", () => {
  /** ln of probabilities, so that they are known exactly enough. */
  const logits = Float32Array.from([0.1, 0.5, 0.25, 0.1, 0.05], Math.log);
  const chosen = (options: SamplingOptions, before: Before = []) => {
    const draws = Array.from({ length: 200 }, (_, i) => sample(logits, { ...options, before, uniform: i / 200 }));
    return [...new Set(draws)].sort();
  };

  it("min-p: what is likely enough beside the likeliest, at any temperature", () => {
    expect(chosen({ minP: 0 })).toEqual([0, 1, 2, 3, 4]);
    expect(chosen({ minP: 0.15 })).toEqual([0, 1, 2, 3]);
    expect(chosen({ minP: 0.45 })).toEqual([1, 2]);
    expect(chosen({ minP: 1 })).toEqual([1]);
    expect(chosen({ minP: 0.45, temperature: 2 })).toEqual([1, 2]); // 0.2 becomes 0.447, 0.1 becomes 0.316
    expect(chosen({ minP: 0.44, temperature: 2 })).toEqual([0, 1, 2, 3]);
    expect(sample(new Float32Array(4), { minP: 1, uniform: 0.9 })).toBe(3); // as likely as the likeliest
  });

  // Entropy 1.304; the distances are 0.999, 0.611, 0.083, 0.999 and 1.692.
  it("typical-p: what is nearest to the entropy, the likeliest not always", () => {
    expect(chosen({ typicalP: 0.2 })).toEqual([2]);
    expect(chosen({ typicalP: 0.7 })).toEqual([1, 2]);
    expect(chosen({ typicalP: 0.8 })).toEqual([0, 1, 2]); // the lower index of two at the same distance
    expect(chosen({ typicalP: 0.9 })).toEqual([0, 1, 2, 3]);
  });

  it("typical-p of what top-k leaves, with the entropy of that", () => {
    expect(chosen({ topK: 2, typicalP: 0.5 })).toEqual([1]); // 2/3 and 1/3: entropy 0.637, distances 0.231 and 0.462
  });

  it("the penalty: tokens within the window, each once", () => {
    const penalty = { repetitionPenalty: 1e6, repetitionWindow: 3 };
    expect(chosen(penalty, [1, 1, 2, 0])).toEqual([3, 4]);
    expect(chosen(penalty, [1, 2, 2, 0])).toEqual([1, 3, 4]);
    const positive = Float32Array.of(2, -1, 0, 1);
    const options = { repetitionPenalty: 2, before: [0, 0, 1, 2], uniform: 0.5 };
    const after = Float32Array.of(1, -2, 0, 1);
    const sampler = new Sampler(4, options);
    for (const token of options.before) sampler.read(token);
    sampler.choose(positive, 0.5);
    expect(sampler.entropy()).toBeCloseTo(entropyOfLogits(after), 12);
  });

  it("options that mean all change no choice", () => {
    const all = { minP: 0, typicalP: 1, repetitionPenalty: 1, repetitionWindow: 256 };
    for (let i = 0; i < 100; i++) {
      const [uniform, before] = [i / 100, [1, 2]];
      for (const options of [{}, { topP: 0.9 }, { topK: 3, temperature: 0.8 }])
        expect(sample(logits, { ...options, ...all, before, uniform })).toBe(sample(logits, { ...options, uniform }));
    }
  });
});

it("entropies of logits, of a choice and of the likeliest alone", () => {
  expect(entropyOfLogits(new Float32Array(8))).toBeCloseTo(Math.log(8), 12);
  expect(entropyOfLogits(Float32Array.of(5, Number.NEGATIVE_INFINITY))).toBe(0);
  expect(entropyOfLogits(Float32Array.of(-1e30, 3, 3))).toBeCloseTo(Math.log(2), 12);
  const sampler = new Sampler(8, { topK: 4 });
  sampler.choose(new Float32Array(8), 0.3);
  expect(sampler.entropy()).toBeCloseTo(Math.log(4), 12);
  const likeliest = new Sampler(8, { temperature: 0 });
  likeliest.choose(new Float32Array(8), 0.3);
  expect(likeliest.entropy()).toBe(0);
});
