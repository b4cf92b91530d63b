/**
 * Linear attention to a weighted mean over chunks (distant-memory.ts) instead of their sum: to the chunks before a
 * token's own or, bidirectional, to all real tokens of its document, its own chunk included. Row by row of the s rows
 * of q, with D(g, h) the product of the decays of the chunks strictly between g and h, and w(j) what token j of h counts
 * at the border of h that faces g (all tokens of the own chunk count 1), chunk g attends to
 *
 *     sum over h of D(g, h) sum over tokens j of h of w(j) k_jᵀ v_j  /  sum over h of D(g, h) sum over j of w(j) / C
 *
 * Symbols: B sequences, H heads (1 without heads), G chunks of C tokens, s width of queries and keys, n of values.
 */
import type { Tensor } from "../graph/tensor.ts";
import { type DecayedChunks, decayedSums, decayFactors } from "./decayed-sums.ts";
import type { Decays, DistantMean } from "./distant-memory.ts";
import type { Side } from "./documents.ts";
import { ownWeights } from "./linear-attention.ts";
import type { ChunkVisibility } from "./visibility.ts";

/** Instead of the weight of nothing, to divide by: the weight of one token is 1 / C. */
const SMALLEST = 1e-6;

export interface MeanInputs {
  /** [B, …, G, C, s]; the queries scaled by 1 / C. */
  readonly q: Tensor;
  readonly k: Tensor;
  /** [B, …, G, C, n]; zero after the last token. */
  readonly v: Tensor;
  readonly decays: Decays;
}

interface MeanAttention {
  /** From other chunks, [B, …, G, C, n]. */
  readonly attended: Tensor;
  /** Bidirectional: the weights of the tokens of the own chunk, [B, …, G, C, C]. */
  readonly own?: Tensor | undefined;
  /** With `before`: the mean behind the last chunk, of the document that goes on there. */
  readonly after?: DistantMean | undefined;
}

/** `before` is what the first document of the window, or all of it, has before the first chunk; causal only. */
export function meanAttention(inputs: MeanInputs, chunks: ChunkVisibility, before?: DistantMean): MeanAttention {
  const [q, k, v] = [inputs.q, inputs.k, inputs.v].map(withHeads);
  const outer = inputs.v.shape.slice(0, -2);
  const asGiven = (t: Tensor) => t.reshape([...outer, ...t.shape.slice(-2)]);
  const sums = sumsBeside({ k, v, decays: inputs.decays }, chunks);
  const earlier = sums("before", before && withDecay(before, q.shape[1]));
  if (chunks.causal) {
    const inverse = rows(earlier.weights.max(SMALLEST).reciprocal());
    const attended = optionally(q.mul(inverse), earlier.seeing).matmul(earlier.values);
    return { attended: asGiven(attended), after: before && meanOf(earlier.after, before) };
  }
  const later = sums("after");
  const sides = [earlier, later].map(({ factor, seeing, ...side }) => ({
    ...side,
    factor: optionally(rows(factor), seeing), // [B, H, G, 1 or C, s]
  }));
  const ownTokens = chunks.visible
    ? ofTokens(chunks.visible.sum([-1])).div(q.shape[3]) // [B, 1, G, 1 or C, 1]
    : q.constant(1);
  const weights = sides.reduce((sum, { factor, weights }) => sum.add(factor.mul(rows(weights))), ownTokens);
  const queries = q.mul(weights.max(SMALLEST).reciprocal());
  const [first, second] = sides.map(({ factor, values }) => queries.mul(factor).matmul(values));
  const own = ownWeights({ q: queries.reshape(inputs.q.shape), k: inputs.k.swapLast(), v }, chunks);
  return { attended: asGiven(first.add(second)), own };
}

interface Beside {
  /** [B, H, G, s, n], up to `factor`: the sum of kᵀ v on one side, and how much its chunks weigh, [B or 1, H, G, s, 1]. */
  readonly values: Tensor;
  readonly weights: Tensor;
  /** [B or 1, H or 1, G, s, 1] */
  readonly factor: Tensor;
  /** [B, 1, G, C, 1]: 1 for the tokens that see that side; undefined when all do. */
  readonly seeing: Tensor | undefined;
  readonly after: { readonly values?: Tensor | undefined; readonly weights?: Tensor | undefined };
}

function sumsBeside(
  { k, v, decays }: { readonly k: Tensor; readonly v: Tensor; readonly decays: Decays },
  { real, documents }: ChunkVisibility,
) {
  const [G, C] = k.shape.slice(2);
  const log = logOfChunks(decays, G);
  return (side: Side, before?: { readonly values: Tensor; readonly weights: Tensor }): Beside => {
    const isBefore = side === "before";
    const ofDocument = documents && (isBefore ? documents.inLast : documents.inFirst);
    const counted = [ofDocument, real].flatMap((t) => (t ? [ofTokens(t)] : [])); // [B, 1, G, C, 1]
    const seeing = documents && (isBefore ? documents.fromPrevious : documents.intoNext);
    const decayed: DecayedChunks = { log, side, labels: documents && (isBefore ? documents.last : documents.first) };
    const { summand, sum: factor } = decayFactors(decayed);
    const within = ofChunks(decays.within(side).exp(), G); // [B or 1, H or 1, G or 1, C, s]
    const weighed = counted.reduce((weights, t) => weights.mul(t), within);
    const all = weighed.sum([3]).div(C); // [B or 1, H or 1, G or 1, 1, s]
    const keys = k.mul(weighed.mul(rows(summand)));
    const values = decayedSums(keys.swapLast().matmul(v), decayed, before?.values);
    const weights = decayedSums(summand.mul(columns(all)), decayed, before?.weights);
    return {
      ...{ values: values.sums, weights: weights.sums, factor, seeing: seeing && ofTokens(seeing) },
      after: { values: values.after, weights: weights.after },
    };
  };
}

/** The decayed sum that a mean stands for, and its weight, with an axis of heads. */
function withDecay({ mean, weight }: DistantMean, H: number): { readonly values: Tensor; readonly weights: Tensor } {
  // A single text has no axis B, and one head no axis H.
  const [values, weights] = [mean.mul(weight), weight].map((t) => t.reshape([-1, H, ...t.shape.slice(-2)]));
  return { values, weights };
}

function meanOf({ values, weights }: Beside["after"], like: DistantMean): DistantMean | undefined {
  if (!values || !weights) return undefined;
  return {
    mean: values.div(weights.max(SMALLEST)).reshape(like.mean.shape),
    weight: weights.reshape(like.weight.shape),
  };
}

/** [B, …, G, C, w] with an axis of heads, of size 1 where there is none. */
function withHeads(t: Tensor): Tensor {
  const { shape } = t;
  return shape.length === 5 ? t : t.reshape([shape[0], 1, ...shape.slice(1)]);
}

/** [B or 1, G, C] or [B or 1, G, C or 1, …] as [B or 1, 1, G, C, 1]. */
function ofTokens(t: Tensor): Tensor {
  return t.reshape([t.shape[0], 1, t.shape[1], t.shape[2], 1]);
}

/** Column [.., s, 1] as row [.., 1, s]. */
function rows(t: Tensor): Tensor {
  return t.reshape([...t.shape.slice(0, -2), 1, t.shape[t.rank - 2]]);
}

function optionally(t: Tensor, factor: Tensor | undefined): Tensor {
  return factor ? t.mul(factor) : t;
}

/** Row [.., 1, s] as column [.., s, 1]. */
function columns(t: Tensor): Tensor {
  return t.reshape([...t.shape.slice(0, -2), t.shape[t.rank - 1], 1]);
}

/** Log decays of each chunk, [B or 1, H or 1, G, s, 1]. */
function logOfChunks({ across }: Decays, G: number): Tensor {
  const s = across.shape[across.rank - 1];
  if (across.rank === 3) return across.reshape([across.shape[0], 1, G, s, 1]);
  const H = across.rank === 2 ? across.shape[0] : 1;
  return across.reshape([1, H, 1, s, 1]).expand([1, H, G, s, 1]);
}

/** Of tokens [C, s], [H, C, s] or [B, G, C, s]: [B or 1, H or 1, G or 1, C, s]. */
function ofChunks(t: Tensor, G: number): Tensor {
  const [C, s] = t.shape.slice(-2);
  if (t.rank === 4) return t.reshape([t.shape[0], 1, G, C, s]);
  return t.reshape([1, t.rank === 3 ? t.shape[0] : 1, 1, C, s]);
}
