/**
 * The last tokens of a text, and the repetition penalty on them (Keskar et al. 2019, "CTRL: A Conditional Transformer
 * Language Model for Controllable Generation"). The paper penalises every token of the text; here a token counts until
 * it is out of the window, so that memory does not grow and a long text does not have nearly every token penalised.
 */

export const LONGEST_WINDOW = 1_000_000;

export class RecentTokens {
  /** The tokens of the window; the oldest is overwritten first. */
  readonly #window: Int32Array;
  /** [V]: how often each token is in the window. */
  readonly #counts: Int32Array;
  #added = 0;

  /** The last `window` tokens, of a vocabulary of V. */
  constructor(V: number, window: number) {
    this.#window = new Int32Array(window);
    this.#counts = new Int32Array(V);
  }

  add(token: number): void {
    const place = this.#added % this.#window.length;
    if (this.#added >= this.#window.length) this.#counts[this.#window[place]]--;
    this.#window[place] = token;
    this.#counts[token]++;
    this.#added++;
  }

  /** Divides positive logits [V] of the tokens in the window by the penalty, and multiplies negative ones, in place. */
  penalise(logits: Float32Array, penalty: number): void {
    for (let id = 0; id < logits.length; id++) {
      if (this.#counts[id] > 0) logits[id] = logits[id] > 0 ? logits[id] / penalty : logits[id] * penalty;
    }
  }
}
