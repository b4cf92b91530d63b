/** What a client is told of tokens: their text, their log-probability under the model, and the likeliest tokens beside them. */
import { likeliestTokens, logSumExp, tokenText, type Vocabulary } from "../../generate/token-text.ts";
import type { TokenRecord } from "../protocol.ts";

/** The records of the tokens of one choice, which know where in its text each begins. */
export class TokenRecords {
  readonly #vocabulary: Vocabulary;
  readonly #top: number;
  readonly #characters = new TextDecoder("utf-8", { ignoreBOM: true });
  #offset: number;

  /** `top`: how many of the likeliest tokens to tell; `offset`: where the first token begins. */
  constructor(vocabulary: Vocabulary, top: number, offset = 0) {
    this.#vocabulary = vocabulary;
    this.#top = top;
    this.#offset = offset;
  }

  /** `logits` [V]: those after which it came; undefined for the first token of a text. */
  record(token: number, logits: Float32Array | undefined): TokenRecord {
    const offset = this.#offset;
    if (token < this.#vocabulary.vocabSize)
      this.#offset += this.#characters.decode(this.#vocabulary.bytesOf(token), { stream: true }).length;
    const text = tokenText(this.#vocabulary, token);
    if (logits === undefined) return { text, logprob: null, top: [], offset };
    const total = logSumExp(logits);
    const top = likeliestTokens(logits, this.#top, total).map(({ id, logprob }) => {
      return [tokenText(this.#vocabulary, id), logprob] as const;
    });
    return { text, logprob: logits[token] - total, top, offset };
  }
}
