/** What a client is told of tokens: their text, their log-probability under the model, and the likeliest tokens beside them. */
import { firstByCount, idsOf, rankedKeys } from "../../generate/selection.ts";
import type { TokenRecord } from "../protocol.ts";

interface Vocabulary {
  readonly vocabSize: number;
  readonly special: Readonly<Record<string, number>>;
  bytesOf(id: number): Uint8Array;
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text of one token; of one that is no whole character its bytes, as OpenAI writes them: `bytes:\xe2\x80`. */
export function tokenText(vocabulary: Vocabulary, id: number): string {
  if (id >= vocabulary.vocabSize) return `<|${id}|>`;
  if (id === vocabulary.special.endOfText) return "<|endoftext|>";
  const bytes = vocabulary.bytesOf(id);
  try {
    return strict.decode(bytes);
  } catch {
    return `bytes:${Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("")}`;
  }
}

/** ln of the sum of exp(logits). */
export function logSumExp(logits: Float32Array): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (const logit of logits) if (logit > largest) largest = logit;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - largest);
  return largest + Math.log(sum);
}

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
    const first = this.#top === 0 ? [] : Array.from(idsOf(firstByCount(rankedKeys(logits), this.#top).sort()));
    const top = first.map((id) => [tokenText(this.#vocabulary, id), logits[id] - total] as const);
    return { text, logprob: logits[token] - total, top, offset };
  }
}
