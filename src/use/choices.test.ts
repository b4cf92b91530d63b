/** Answers to questions, by likelihoods that are worked out by hand. */
import { expect, it } from "vitest";
import type { Decoder } from "../generate/decoder.ts";
import { type AnsweringModel, answerQuestion, ChoicesSummary, type Question } from "./choices.ts";

/** After any text: a 1/2, b 1/4, c and d 1/8 each; after d: c 1/2, d 1/4. The last token is the text's end. */
const LETTERS = "abcd";
const P = [1 / 2, 1 / 4, 1 / 8, 1 / 8, 0];
const AFTER_D = [1 / 8, 1 / 8, 1 / 2, 1 / 4, 0];
const END = 4;

function logitsAfter(token: number): Float32Array {
  return Float32Array.from(LETTERS[token] === "d" ? AFTER_D : P, (p) => 5 + Math.log(p)); // logits are not normalised
}

const decoder: Pick<Decoder, "reset" | "absorb" | "vocabSize"> = {
  vocabSize: 5,
  reset: async () => {},
  async absorb(tokens, { logits = "last" } = {}) {
    const rows = Array.from(tokens, logitsAfter);
    return logits === "last" ? rows[rows.length - 1] : Float32Array.from(rows.flatMap((row) => [...row]));
  },
};

const model: AnsweringModel = {
  path: "model",
  config: { training: { objective: "causal" } },
  tokenizer: {
    encode: async (text) => Int32Array.from(text, (letter) => LETTERS.indexOf(letter)),
    special: { endOfText: END },
  },
  decoders: { take: async () => decoder as Decoder, giveBack: () => {} },
};

const bits = (nats: number) => nats / Math.LN2;

it("the likelihood of a choice is that of its tokens after the context", async () => {
  const { scores } = await answerQuestion(model, { context: "ab", choices: ["a", "aa", "bc", "dc"], answer: 0 });
  expect(scores.map(({ nats }) => Number(bits(nats).toFixed(5)))).toEqual([1, 2, 5, 4]); // d 3, then c after d 1
  expect(scores.map(({ tokens }) => tokens)).toEqual([1, 2, 2, 2]);
  expect(scores.map(({ greedy }) => greedy)).toEqual([true, true, false, false]);
});

it("without a context the text begins after an end of text", async () => {
  const { scores } = await answerQuestion(model, { context: "", choices: ["b"], answer: 0 });
  expect(bits(scores[0].nats)).toBeCloseTo(2, 5);
});

it("long answers lose by their whole likelihood, and not per token", async () => {
  const { whole, perToken } = await answerQuestion(model, { context: "c", choices: ["b", "aab"], answer: 1 });
  expect([whole, perToken]).toEqual([0, 1]); // 2 bits against 4, and 2 against 4 / 3 a token
});

it("answers are counted by each measure", async () => {
  const questions: Question[] = [
    { context: "c", choices: ["b", "aab"], answer: 1 },
    { context: "c", choices: ["a", "b", "c", "d"], answer: 0 },
  ];
  const summary = new ChoicesSummary();
  for (const question of questions) summary.add(question, await answerQuestion(model, question));
  const { questions: count, accuracy, accuracyPerToken, chance, exact, perplexity } = summary.result();
  expect({ count, accuracy, accuracyPerToken, chance, exact }).toEqual({
    ...{ count: 2, accuracy: 0.5, accuracyPerToken: 1, chance: (1 / 2 + 1 / 4) / 2, exact: 0.5 },
  });
  expect(perplexity).toBeCloseTo(2 ** ((4 + 1) / 2), 4);
});

it("an answer that adds nothing is refused, and a masked model", async () => {
  await expect(answerQuestion(model, { context: "a", choices: [""], answer: 0 })).rejects.toThrow(
    /^choice "": expected text/,
  );
  const masked = { ...model, config: { training: { objective: "masked" } } };
  await expect(answerQuestion(masked, { context: "a", choices: ["b"], answer: 0 })).rejects.toThrow(
    /masked model fills in/,
  );
});
