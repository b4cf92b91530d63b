/**
 * Questions with given answers: how likely a model holds each to follow the question, whole, per token and per byte, and
 * whether it would have written it. So cloze and multiple-choice sets are evaluated (Brown et al. 2020, "Language Models
 * are Few-Shot Learners", section 2.4; one answer alone is LAMBADA's task, Paperno et al. 2016).
 */
import { LonghandError } from "../base/errors.ts";
import type { SpecialTokens, TextTokenizer } from "../data/tokenizer.ts";
import type { Decoder } from "../generate/decoder.ts";
import type { Decoders } from "./decoders.ts";

/** What answering needs of a loaded model. */
export interface AnsweringModel {
  readonly path: string;
  readonly config: { readonly training: { readonly objective: string } };
  readonly tokenizer: Pick<TextTokenizer, "encode"> & { readonly special: Pick<SpecialTokens, "endOfText"> };
  readonly decoders: Pick<Decoders, "take" | "giveBack">;
}

export interface Question {
  /** What comes before the answer; may be empty. */
  readonly context: string;
  /** One or more; a space between context and answer stands at an answer's beginning. */
  readonly choices: readonly string[];
  /** Which of them is right: its place. */
  readonly answer: number;
}

/** How likely a choice follows its context. */
export interface ChoiceScore {
  /** -log p(choice | context) */
  readonly nats: number;
  readonly tokens: number;
  readonly bytes: number;
  /** Whether each of its tokens is the likeliest one. */
  readonly greedy: boolean;
}

/** The places of the likeliest choice: by its whole probability, per token, and per byte. */
export interface Answered {
  readonly scores: readonly ChoiceScore[];
  readonly whole: number;
  readonly perToken: number;
  readonly perByte: number;
}

export interface ChoicesResult {
  readonly questions: number;
  /** Share of right answers, by each measure. */
  readonly accuracy: number;
  readonly accuracyPerToken: number;
  readonly accuracyPerByte: number;
  /** What choosing blindly would reach. */
  readonly chance: number;
  /** Share of questions whose right answer is what the model writes at temperature 0. */
  readonly exact: number;
  /** exp of the mean nats of a right answer. */
  readonly perplexity: number;
}

/** Answers one question. Throws "usage" for a masked model, an answer without tokens, and a text longer than the model reads. */
export async function answerQuestion(model: AnsweringModel, { context, choices }: Question): Promise<Answered> {
  const { config, tokenizer, decoders } = model;
  if (config.training.objective !== "causal")
    throw new LonghandError("usage", `${model.path}: a masked model fills in blanks and continues no text`);
  const decoder = await decoders.take();
  try {
    const before = await tokenizer.encode(context);
    const scores: ChoiceScore[] = [];
    for (const choice of choices) {
      const text = await tokenizer.encode(context + choice);
      // Where the two run together in one token, it counts as the choice's.
      let shared = 0;
      while (shared < before.length && before[shared] === text[shared]) shared += 1;
      if (shared === text.length)
        throw new LonghandError(
          "usage",
          `choice ${JSON.stringify(choice)}: expected text that adds a token to its context`,
        );
      const { nats, greedy } = await likelihood(decoder, { text, from: shared, start: tokenizer.special.endOfText });
      scores.push({ nats, greedy, tokens: text.length - shared, bytes: new TextEncoder().encode(choice).length });
    }
    const likeliest = (of: (score: ChoiceScore) => number) =>
      scores.reduce((best, _, i) => (of(scores[i]) < of(scores[best]) ? i : best), 0);
    return {
      scores,
      whole: likeliest(({ nats }) => nats),
      perToken: likeliest(({ nats, tokens }) => nats / tokens),
      perByte: likeliest(({ nats, bytes }) => nats / bytes),
    };
  } finally {
    decoders.giveBack(decoder);
  }
}

/** Sums up answers, one question at a time. */
export class ChoicesSummary {
  readonly #right = { whole: 0, perToken: 0, perByte: 0 };
  #chance = 0;
  #exact = 0;
  #nats = 0;
  questions = 0;

  add({ answer, choices }: Question, { scores, ...chosen }: Answered): void {
    this.questions += 1;
    for (const by of ["whole", "perToken", "perByte"] as const) this.#right[by] += chosen[by] === answer ? 1 : 0;
    this.#chance += 1 / choices.length;
    this.#exact += scores[answer].greedy ? 1 : 0;
    this.#nats += scores[answer].nats;
  }

  /** Of one question or more. */
  result(): ChoicesResult {
    const { questions } = this;
    return {
      questions,
      accuracy: this.#right.whole / questions,
      accuracyPerToken: this.#right.perToken / questions,
      accuracyPerByte: this.#right.perByte / questions,
      chance: this.#chance / questions,
      exact: this.#exact / questions,
      perplexity: Math.exp(this.#nats / questions),
    };
  }
}

interface Stretch {
  readonly text: Int32Array;
  /** First token that counts. */
  readonly from: number;
  /** The token before the text. */
  readonly start: number;
}

async function likelihood(decoder: Decoder, { text, from, start }: Stretch) {
  await decoder.reset();
  const V = decoder.vocabSize;
  let last = await decoder.absorb([start, ...text.subarray(0, from)]);
  const counted = text.subarray(from);
  const rest =
    counted.length > 1 ? await decoder.absorb(counted.subarray(0, -1), { logits: "all" }) : new Float32Array();
  let nats = 0;
  let greedy = true;
  for (const [i, token] of counted.entries()) {
    if (i > 0) last = rest.subarray((i - 1) * V, i * V);
    const highest = last.reduce((a, b) => Math.max(a, b));
    const sum = last.reduce((total, logit) => total + Math.exp(logit - highest), 0);
    nats += highest + Math.log(sum) - last[token];
    greedy &&= last[token] === highest;
  }
  return { nats, greedy };
}
