/**
 * Masked language modelling (Devlin, Chang, Lee, Toutanova 2018, "BERT", section 3.1): which tokens of a batch are to
 * be predicted and what stands in their places. A pure function of seed and batch number, as batches are, so that a
 * resumed run masks what the uninterrupted one does.
 */
import { permuteIndex, randomKey, randomUniform } from "../base/random.ts";
import type { SpecialTokens } from "./tokenizer.ts";

/** The share of tokens selected; of these, the shares that become [MASK] and any other token. */
const MASKING = { selected: 0.15, mask: 0.8, random: 0.1 } as const;

/** How many of so many tokens are selected when all are ordinary: the most that a batch of this size can have. */
export function mostMasked(tokens: number): number {
  return Math.max(1, Math.round(MASKING.selected * tokens));
}

/** What masking must know of a tokenizer. */
export interface MaskingVocabulary {
  readonly vocabSize: number;
  /** Never selected for prediction and never used as a random replacement. */
  readonly special: SpecialTokens;
}

export interface MaskingRequest {
  readonly vocabulary: MaskingVocabulary;
  /** The tokens of a batch as they are in the text; not changed. */
  readonly tokens: Int32Array;
  /** Of the same length, 0 at padding; default: there is none. */
  readonly real?: Float32Array;
  readonly seed: number;
  /** Number of the batch, from 0. */
  readonly index: number;
}

interface MaskedBatch {
  /** What the model reads. */
  readonly tokens: Int32Array;
  /** What the text has. */
  readonly targets: Int32Array;
  /** 1 / count at selected places, 0 elsewhere: the weighted sum of losses is their mean. */
  readonly weights: Float32Array;
  /** Number of selected places. */
  readonly count: number;
}

/**
 * Selects 15 % of the batch's ordinary tokens, rounded, but at least one; none when there are only special ones. Of the
 * selected, each becomes [MASK] with a probability of 80 %, any ordinary token with 10 %, and stays as it is with 10 %.
 */
export function maskedBatch({ vocabulary, tokens: targets, real, seed, index }: MaskingRequest): MaskedBatch {
  const { vocabSize, special } = vocabulary;
  const specials = Object.values(special).sort((a, b) => a - b);
  const ordinary: number[] = [];
  for (let at = 0; at < targets.length; at++) {
    if (real?.[at] !== 0 && !specials.includes(targets[at])) ordinary.push(at);
  }
  const count = Math.min(ordinary.length, mostMasked(ordinary.length));
  const places = randomKey(seed, "masked places", index);
  const kinds = randomKey(seed, "masked kinds", index);
  const others = randomKey(seed, "masked tokens", index);
  const tokens = targets.slice();
  const weights = new Float32Array(targets.length);
  for (let i = 0; i < count; i++) {
    const at = ordinary[permuteIndex(places, ordinary.length, i)];
    weights[at] = 1 / count;
    const kind = randomUniform(kinds, i);
    if (kind < MASKING.mask) tokens[at] = special.mask;
    else if (kind < MASKING.mask + MASKING.random) {
      tokens[at] = ordinaryToken(Math.floor(randomUniform(others, i) * (vocabSize - specials.length)), specials);
    }
  }
  return { tokens, targets, weights, count };
}

/** The id of the n-th token that is not special; `specials` ascend. */
function ordinaryToken(n: number, specials: readonly number[]): number {
  let id = n;
  for (const special of specials) if (special <= id) id++;
  return id;
}
