import { describe, expect, it } from "vitest";
import { randomKey, randomUniform } from "../base/random.ts";
import { ngramPerplexity } from "./ngram.ts";
import { tokensInMemory } from "./token-sequence.ts";

const sequence = (...ids: number[]) => tokensInMemory(Int32Array.from(ids));

describe("n-gram perplexity", () => {
  it("agrees with counting by hand", () => {
    // Training 0 1 0 1 2: n = 2, 2, 1 of 5; with V = 3: p = 3/8, 3/8, 2/8. Pairs 01 twice, 10 and 12 once.
    // Fewer than ten tokens have no tail, so the weight is 1/2.
    const { unigram, bigram, weight } = ngramPerplexity({
      train: sequence(0, 1, 0, 1, 2),
      heldOut: sequence(0, 1, 2, 0),
      vocabSize: 3,
    });
    expect(weight).toBe(0.5);
    expect(unigram).toBeCloseTo(((3 / 8) * (2 / 8) * (3 / 8)) ** (-1 / 3), 12);
    // p(1|0) = 1/2 · 2/2 + 1/2 · 3/8; p(2|1) = 1/2 · 1/2 + 1/2 · 2/8; nothing was seen after 2, so p(0|2) = p(0).
    expect(bigram).toBeCloseTo(((1 / 2 + 3 / 16) * (1 / 4 + 1 / 8) * (3 / 8)) ** (-1 / 3), 12);
  });

  it("chooses the weight that is best for the tail of the training tokens under counts of the rest", () => {
    // 18 tokens before the tail: 0 1 nine times; the tail: 0 0. Before it n = 9, 9 of 18, V = 2, so p = 1/2 each.
    // Tail pairs: 10, seen 8 times of 8 (b = 1), and 00, never seen (b = 0). The best x of (x + (1-x)/2)((1-x)/2) is 0.
    const train = sequence(...Array.from({ length: 18 }, (_, i) => i % 2), 0, 0);
    expect(ngramPerplexity({ train, heldOut: sequence(0, 1), vocabSize: 2 }).weight).toBeCloseTo(0, 6);
    // With tail 0 1 0 0 of 40 tokens: b = 1, 1, 1, 0: maximise 3 log(1+x) + log(1-x): 3(1-x) = 1+x, x = 1/2.
    const longer = sequence(...Array.from({ length: 36 }, (_, i) => i % 2), 0, 1, 0, 0);
    expect(ngramPerplexity({ train: longer, heldOut: sequence(0, 1), vocabSize: 2 }).weight).toBeCloseTo(0.5, 6);
  });

  it("comes near the entropy of a Markov chain, across the read buffer's border", () => {
    const key = randomKey(5, "chain");
    const chain = (from: number, length: number) => {
      const ids = new Int32Array(length);
      for (let i = 1; i < length; i++)
        ids[i] =
          randomUniform(key, from + i) < 0.9
            ? (ids[i - 1] + 1) % 10
            : Math.floor(randomUniform(key, 1e6 + from + i) * 10);
      return tokensInMemory(ids);
    };
    const { unigram, bigram } = ngramPerplexity({
      train: chain(0, 150_000),
      heldOut: chain(200_000, 70_000),
      vocabSize: 10,
    });
    const entropy = -(0.91 * Math.log(0.91) + 9 * 0.01 * Math.log(0.01));
    expect(unigram).toBeCloseTo(10, 1);
    expect(Math.abs(bigram / Math.exp(entropy) - 1)).toBeLessThan(0.02);
  });

  it("is the vocabulary's size for tokens never seen, at most", () => {
    const { unigram, bigram } = ngramPerplexity({ train: sequence(0, 0, 0), heldOut: sequence(1, 2, 3), vocabSize: 4 });
    expect(unigram).toBeCloseTo(7, 12);
    expect(bigram).toBeCloseTo(7, 12);
  });

  it("refuses too few tokens and tokens outside the vocabulary", () => {
    expect(() => ngramPerplexity({ train: sequence(0), heldOut: sequence(0, 1), vocabSize: 2 })).toThrow(
      "train: at least 2 tokens",
    );
    expect(() => ngramPerplexity({ train: sequence(0, 1), heldOut: sequence(), vocabSize: 2 })).toThrow(
      "heldOut: at least 2 tokens are needed to count pairs, got 0",
    );
    expect(() => ngramPerplexity({ train: sequence(0, 2), heldOut: sequence(0, 1), vocabSize: 2 })).toThrow(
      "token 2 is outside the vocabulary of 2",
    );
    expect(() => ngramPerplexity({ train: sequence(0, 1), heldOut: sequence(0, -1), vocabSize: 2 })).toThrow(
      "token -1 is outside",
    );
    expect(() => ngramPerplexity({ train: sequence(0, 1), heldOut: sequence(0, 1), vocabSize: 0 })).toThrow(
      "vocabSize: expected",
    );
  });
});
