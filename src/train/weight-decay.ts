/**
 * How strong weight decay should be. With a learning rate it makes parameters an average of their updates over the last
 * 1 / (rate * decay) steps, and what serves best is an average over about the same share of the text, whatever its length,
 * batch and rate (Wang and Aitchison 2024, "How to set AdamW's weight decay as you scale model and dataset size", arXiv
 * 2405.13698). So a short text that is read many times, which a model soon knows by heart, gets a strong decay.
 */

interface Reading {
  /** Highest learning rate. */
  readonly rate: number;
  readonly steps: number;
  readonly tokensPerStep: number;
  /** Of the whole text, of which the steps may read a part only, or all of it several times. */
  readonly textTokens: number;
}

/** Rate times decay, summed over the reading of the text once, or over all steps if they are fewer (docs/decisions/0040). */
const OVER_TEXT = 2;
/** Rate times decay: what a step takes from a parameter at most. */
const MOST = 0.02;

/** Two significant digits. */
export function decayForText({ rate, steps, tokensPerStep, textTokens }: Reading): number {
  const averaged = Math.min(textTokens / tokensPerStep, steps);
  return Number((Math.min(OVER_TEXT / averaged, MOST) / rate).toPrecision(2));
}
