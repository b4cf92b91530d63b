/**
 * The loss of every token of a document, given all before it, as the tokens come: the state of the model goes from call to
 * call. In windows, it begins anew after so many tokens, and what is read stays the token before.
 */
import type { Decoder } from "../../generate/decoder.ts";

export interface TokenLossesOptions {
  readonly decoder: Decoder;
  /** From which the first token of a document is predicted. */
  readonly endOfText: number;
  /** Tokens of a window; undefined: the document is read whole. */
  readonly window: number | undefined;
}

/** Tokens that are read at once, about: those of a batch of eval. */
const BLOCK = 4096;

export class TokenLosses {
  readonly #decoder: Decoder;
  readonly #window: number;
  #before: number;

  constructor({ decoder, endOfText, window = Number.POSITIVE_INFINITY }: TokenLossesOptions) {
    this.#decoder = decoder;
    this.#window = window;
    this.#before = endOfText;
  }

  /** How many tokens are best read next: with them, chunks and windows end where those of a whole reading do. */
  get wanted(): number {
    const { position } = this.#decoder;
    const read = position >= this.#window ? 0 : position;
    return Math.min(BLOCK - (read % BLOCK), this.#window - read);
  }

  /** Nats of each token, [tokens]. */
  async of(tokens: Int32Array): Promise<Float32Array> {
    const losses = new Float32Array(tokens.length);
    for (let at = 0; at < tokens.length; ) {
      if (this.#decoder.position >= this.#window) await this.#decoder.reset();
      const targets = tokens.subarray(at, at + this.wanted);
      const read = new Int32Array(targets.length);
      read[0] = this.#before;
      read.set(targets.subarray(0, -1), 1);
      losses.set(await this.#decoder.losses(read, targets), at);
      this.#before = targets[targets.length - 1];
      at += targets.length;
    }
    return losses;
  }
}
