/**
 * A text as it is written, token by token: chooses the next token from the logits, and turns tokens into text that ends
 * before a stop string. Who reads the tokens is up to the caller: `generate` with a decoder of its own, or a server that
 * reads those of many texts together.
 */
import { randomKey, randomUniform } from "../base/random.ts";
import { entropyOfLogits, Sampler, type SamplingOptions } from "./sampling.ts";
import { StopStrings } from "./stop-strings.ts";

/** What a continuation needs of a tokenizer. */
export interface ContinuationTokenizer {
  readonly vocabSize: number;
  readonly special: { readonly endOfText: number; readonly padding: number; readonly mask: number };
  /** The UTF-8 bytes of a token: it may end inside a character. */
  bytesOf(id: number): Uint8Array;
}

export interface ContinuationOptions extends SamplingOptions {
  readonly tokenizer: ContinuationTokenizer;
  /** V: of the model, whose last tokens the tokenizer may not have. */
  readonly vocabSize: number;
  readonly seed: number;
  /** Which of several continuations with one seed this is. Default 0. */
  readonly index?: number;
  readonly stop: readonly string[];
  /** Changes logits [V] in place before a token is chosen. */
  readonly adjust?: ((logits: Float32Array) => void) | undefined;
}

export class Continuation {
  readonly #tokenizer: ContinuationTokenizer;
  readonly #sampler: Sampler;
  readonly #stops: StopStrings;
  readonly #adjust: ((logits: Float32Array) => void) | undefined;
  readonly #key: readonly [number, number];
  readonly #characters = new TextDecoder("utf-8", { ignoreBOM: true });
  /** [V]: the logits among which the last token was chosen. */
  readonly #allowed: Float32Array;
  #count = 0;

  /** Throws "usage" for sampling options outside their range and for an empty stop string. */
  constructor({ tokenizer, vocabSize, seed, index = 0, stop, adjust, ...sampling }: ContinuationOptions) {
    this.#tokenizer = tokenizer;
    this.#sampler = new Sampler(vocabSize, sampling);
    this.#stops = new StopStrings(stop);
    this.#adjust = adjust;
    this.#key = randomKey(seed, "sample", index);
    this.#allowed = new Float32Array(vocabSize);
  }

  /** Tokens chosen, without the end-of-text token. */
  get tokens(): number {
    return this.#count;
  }

  /** Whether a stop string has been found. */
  get stopped(): boolean {
    return this.#stops.found;
  }

  /** Takes note of what the text begins with, for the repetition penalty. */
  read(tokens: Iterable<number>): void {
    // The end of a text that an empty prompt begins with is no reason to put off the end of this one.
    for (const token of tokens) if (token !== this.#tokenizer.special.endOfText) this.#sampler.read(token);
  }

  /** The next token after logits [V]; undefined where the model ends the text. Padding and mask tokens are never chosen. */
  choose(logits: Float32Array): number | undefined {
    const { special, vocabSize } = this.#tokenizer;
    const allowed = this.#allowed;
    allowed.set(logits);
    this.#adjust?.(allowed);
    for (const id of [special.padding, special.mask]) allowed[id] = Number.NEGATIVE_INFINITY;
    allowed.fill(Number.NEGATIVE_INFINITY, vocabSize);
    const token = this.#sampler.choose(allowed, randomUniform(this.#key, this.#count));
    if (token === special.endOfText) return undefined;
    this.#count++;
    this.#sampler.read(token);
    return token;
  }

  /** Entropies in nats for the last choice: of the model, and of what was sampled from. */
  entropies(): { readonly model: number; readonly sampled: number } {
    return { model: entropyOfLogits(this.#allowed), sampled: this.#sampler.entropy() };
  }

  /** The text that a chosen token brings: whole characters that certainly come before any stop string. */
  textOf(token: number): string {
    return this.#stops.push(this.#characters.decode(this.#tokenizer.bytesOf(token), { stream: true }));
  }

  /** The text held back so far; an unfinished character becomes U+FFFD, as when all tokens are decoded at once. */
  rest(): string {
    return this.#stops.push(this.#characters.decode()) + this.#stops.flush();
  }
}
