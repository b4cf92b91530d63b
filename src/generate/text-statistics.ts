/**
 * What a long text is like, stretch by stretch: how much of it repeats itself (seq-rep-n of Welleck et al. 2020,
 * "Neural Text Generation with Unlikelihood Training"), and how open its choices were. A text that degenerates into
 * loops has many repeated n-grams and little entropy, one that degenerates into noise much entropy.
 */

/** One entry a token of the text, in order. Entropies are in nats. */
export interface TokenRecords {
  readonly tokens: readonly number[];
  /** Of the model's own distribution: temperature 1, no penalty, nothing cut off. */
  readonly modelEntropies: readonly number[];
  /** Of the distribution from which the token was drawn. */
  readonly sampledEntropies: readonly number[];
}

export interface TextStretch {
  /** The first token of the stretch, and the one after its last, counted from 0. */
  readonly from: number;
  readonly to: number;
  /** The share of its 8-grams that occur earlier in the same stretch, 0 to 1; NaN for fewer than 8 tokens. */
  readonly repeated: number;
  /** Means over its tokens, in nats. */
  readonly modelEntropy: number;
  readonly sampledEntropy: number;
}

const WARM_UP = 1000;
const STRETCH = 5000;
const N = 8;

/**
 * The first 1,000 tokens, in which the text is still near its prompt; stretches of 5,000 tokens after that; and the
 * last 5,000 (fewer where there are fewer), which overlap the stretch before them unless they are one of these. All
 * after the first have one length, since a longer stretch repeats more by chance.
 */
export function textStatistics(records: TokenRecords): TextStretch[] {
  const { length } = records.tokens;
  const stretches: TextStretch[] = [];
  const add = (from: number, to: number) => void (to > from && stretches.push(stretchOf(records, from, to)));
  let end = Math.min(WARM_UP, length);
  add(0, end);
  for (; end + STRETCH <= length; end += STRETCH) add(end, end + STRETCH);
  if (end < length) add(Math.max(WARM_UP, length - STRETCH), length);
  return stretches;
}

function stretchOf({ tokens, modelEntropies, sampledEntropies }: TokenRecords, from: number, to: number): TextStretch {
  const mean = (values: readonly number[]) => {
    let sum = 0;
    for (let at = from; at < to; at++) sum += values[at];
    return sum / (to - from);
  };
  const repeated = repeatedShare(tokens.slice(from, to), N);
  return { from, to, repeated, modelEntropy: mean(modelEntropies), sampledEntropy: mean(sampledEntropies) };
}

/** The share of the n-grams of some tokens that occur earlier among them: 1 - distinct / all; NaN without any. */
export function repeatedShare(tokens: readonly number[], n: number): number {
  const count = Math.max(0, tokens.length - n + 1);
  const distinct = new Set<string>();
  for (let at = 0; at < count; at++) distinct.add(tokens.slice(at, at + n).join(" "));
  return 1 - distinct.size / count;
}
