/**
 * FAVOR+, the attention of Performer (Choromanski et al. 2021, "Rethinking Attention with Performers", section 2):
 * softmax attention estimated by positive random features, at a cost linear in T.
 *
 *     phi(t) = exp(omega t' - |t'|^2 / 2) / sqrt(m)       t' = t / w^(1/4), omega [m, w] a fixed random projection
 *     y_i    = sum_j (phi(q_i) . phi(k_j)) v_j / sum_j phi(q_i) . phi(k_j)
 *
 * A factor common to all features of one query, or to all keys of a head, cancels in y: 1 / sqrt(m) and |q'|^2 / 2 are
 * left out, and the largest exponent is subtracted so that nothing overflows: that of all keys, or of those of the own
 * document, so that none loses its weight beside another's. m features, w head width.
 */
import { randomKey, randomNormals } from "../base/random.ts";
import { constant, type Tensor, withGradient } from "../graph/tensor.ts";
import { inChunks, outOfChunks } from "./chunks.ts";
import { largestInDocuments } from "./document-sums.ts";
import type { Layer, LayerInputs, Stepped, Tensors } from "./layer.ts";
import { added, linearAttention } from "./linear-attention.ts";
import { attentionOut, headProjections, type MultiHeadConfig } from "./multi-head.ts";
import type { NewTokens } from "./new-tokens.ts";
import type { Scope } from "./scope.ts";
import { type ChunkVisibility, HIDDEN, hiddenWhereMasked } from "./visibility.ts";

interface FavorConfig extends MultiHeadConfig {
  /** omega [m, w]; not trained. */
  readonly features: Tensor;
  /** Tokens a chunk of the running sums: a matter of speed, and of how much rounding a step of decoding sees. */
  readonly sumChunk?: number;
}

/** Balances products inside a chunk, that cost C (m + w) a token, and those across, 2 m w, at w = 64 and m = 256. */
export const SUM_CHUNK = 128;
/** Keeps a query that all its keys have left without weight (by underflow) from dividing zero by zero. */
const SMALLEST = 1e-30;
/** Where the largest exponent begins: below all real ones, above that of padding, whose features are then 0. */
const NO_PEAK = HIDDEN / 2;

export function favorAttention({ width, heads: H, features, sumChunk = SUM_CHUNK }: FavorConfig): Layer {
  const [m, w] = [features.shape[0], width / H];
  const omega = features.mul(w ** -0.25); // divides queries and keys by w^(1/4), at no cost to them

  function forward(scope: Scope, x: Tensor, { rotations, visibility }: LayerInputs): Tensor {
    const T = x.shape[1];
    const { q, k, v } = headProjections(scope, x, { heads: H, rotations }); // [B, H, T, w] each
    const C = visibility.causal || visibility.documents ? Math.min(sumChunk, T) : T;
    const chunks = visibility.inChunks(C, T);
    const [qc, kc, vc] = [q, k, withOnes(v)].map((t) => inChunks(t, C)); // [B, H, G, C, .] each
    const exponents = keyExponents(omega, kc, afterTheEnd(kc, T)); // [B, H, G, m, C]
    const phiK = exponents.sub(withoutGradient(largestExponent(exponents, chunks))).exp();
    const inputs = { q: queryFeatures(omega, qc), k: phiK, v: vc };
    const { found } = linearAttention(inputs, chunks, { ownPast: true }); // [B, H, G, C, w + 1]
    return attentionOut(scope, ratio(outOfChunks(found ?? vc.zeros(vc.shape), T)));
  }

  /**
   * The state is sums [B, H, m, w + 1] of phi(k) values and in the last column of phi(k), both times e^(-peak), and peak, the
   * largest exponent so far. A larger one rescales the sums, which cancels in the ratio, so that they stay finite. `done` and
   * `donePeak` are the same of closed spans, since to one sum of everything a late token would add little but rounding.
   */
  function step(scope: Scope, x: Tensor, tokens: NewTokens, { sums, peak, done, donePeak }: Tensors): Stepped {
    const { q, k, v } = headProjections(scope, x, { heads: H, rotations: tokens.rotations });
    const padding = tokens.real && hiddenWhereMasked(tokens.real).reshape([...tokens.batch, 1, 1, tokens.tokens]);
    const exponents = keyExponents(omega, k, padding); // [B, H, m, P]
    const newPeak = peak.max(exponents.maximum([-2, -1])); // [B, H, 1, 1]
    const phiK = exponents.sub(newPeak).exp();
    const phiQ = queryFeatures(omega, q); // [B, H, P, m]
    const values = withOnes(v);
    const kept = sums.mul(peak.sub(newPeak).exp()); // [B, H, m, w + 1]
    const before = phiQ.matmul(done).mul(donePeak.sub(newPeak).exp()); // [B, H, P, w + 1]
    const future = tokens.hiddenFuture();
    const weights = phiQ.matmul(phiK); // [B, H, P, P]
    const own = (future ? weights.mul(future.exp()) : weights).matmul(values);
    return {
      y: attentionOut(scope, ratio(before.add(phiQ.matmul(kept)).add(own))),
      state: { sums: kept.add(phiK.matmul(values)), peak: newPeak },
    };
  }

  /** Adds the sums of the span to those before it, all times e^(-peak), and begins anew. */
  function close({ sums, peak, done, rest, donePeak }: Tensors): Tensors {
    const keep = donePeak.sub(peak).exp();
    const { sum, rest: left } = added({ sum: done.mul(keep), rest: rest.mul(keep) }, sums);
    return { done: sum, rest: left, donePeak: peak, sums: sums.zeros(sums.shape) };
  }

  const sum = { shape: [H, m, w + 1], change: "replaced", initial: 0 } as const;
  const largest = { shape: [H, 1, 1], change: "replaced", initial: NO_PEAK } as const;
  return {
    forward,
    recurrence: {
      span: sumChunk,
      state: { sums: sum, peak: largest, done: sum, rest: sum, donePeak: largest },
      step,
      close,
    },
  };
}

/** v with a column of ones: the sum of weights comes out as one more column. */
function withOnes(v: Tensor): Tensor {
  return v.concat([v.constant(1).expand([...v.shape.slice(0, -1), 1])], -1);
}

/** The weighted sums over the sum of weights, which is their last column: [..., w + 1] -> [..., w]. */
function ratio(sums: Tensor): Tensor {
  const [weighted, total] = sums.split(-1, [sums.shape[sums.rank - 1] - 1, 1]);
  return weighted.mul(total.max(SMALLEST).reciprocal());
}

/** phi of queries [..., w], up to a factor: exp(s - max s) over the features, [..., m]. */
function queryFeatures(omega: Tensor, q: Tensor): Tensor {
  const s = q.matmul(omega.swapLast());
  return s.sub(withoutGradient(s.maximum([-1]))).exp();
}

/** omega k' - |k'|^2 / 2 of keys k [..., C, w]: [..., m, C]. `hidden`, of a shape that broadcasts, is added. */
function keyExponents(omega: Tensor, k: Tensor, hidden: Tensor | undefined): Tensor {
  const keys = k.swapLast(); // [..., w, C]
  const halfSquare = keys
    .mul(keys)
    .sum([-2])
    .mul(0.5 / Math.sqrt(omega.shape[1])); // [..., 1, C]
  return omega.matmul(keys).sub(hidden ? halfSquare.sub(hidden) : halfSquare);
}

/** The largest exponent of a head, or of each token's document, of exponents [B, H, G, m, C]. */
function largestExponent(exponents: Tensor, { documents }: ChunkVisibility): Tensor {
  if (!documents) return exponents.maximum([-3, -2, -1]);
  const [B, H, G, , C] = exponents.shape;
  const ofTokens = exponents.maximum([-2]).reshape([B, H, G * C]);
  return largestInDocuments(ofTokens, documents.segmentIds.reshape([B, G * C])).reshape([B, H, G, 1, C]);
}

/** HIDDEN at the places of the chunks [B, H, G, C, w] that have no token, else 0: [G, 1, C]; undefined when each has one. */
function afterTheEnd(chunks: Tensor, T: number): Tensor | undefined {
  const [, , G, C] = chunks.shape;
  if (G * C === T) return undefined;
  const one = chunks.constant(1).expand([T]);
  return hiddenWhereMasked(one.pad(0, 0, G * C - T)).reshape([G, 1, C]);
}

/** The result does not depend on what is subtracted, so its gradient is zero. */
function withoutGradient(t: Tensor): Tensor {
  return withGradient(t, [], () => []);
}

/**
 * The random projection omega [m, w] of one layer (section 2.4, "orthogonal random features"): blocks of w rows that are
 * orthogonal to each other within the block, each of a length that w independent normal numbers have.
 */
export function orthogonalFeatures(count: number, width: number, seed: number, layer: number): Tensor {
  const directions = randomNormals(randomKey(seed, "FAVOR+ directions", layer), count * width);
  const lengths = randomNormals(randomKey(seed, "FAVOR+ lengths", layer), count * width);
  const rows = Float64Array.from(directions);
  for (let i = 0; i < count; i++) {
    const own = rows.subarray(i * width, (i + 1) * width);
    // Gram and Schmidt, twice: once leaves what rounding left of the earlier directions.
    for (let pass = 0; pass < 2; pass++) {
      for (let j = i - (i % width); j < i; j++) {
        const other = rows.subarray(j * width, (j + 1) * width);
        addMultiple(own, other, -dot(own, other));
      }
    }
    const inverse = 1 / Math.sqrt(dot(own, own));
    for (let a = 0; a < width; a++) own[a] *= inverse;
  }
  const omega = new Float32Array(count * width);
  for (let i = 0; i < count; i++) {
    const own = lengths.subarray(i * width, (i + 1) * width);
    const length = Math.sqrt(dot(own, own));
    for (let a = i * width; a < (i + 1) * width; a++) omega[a] = rows[a] * length;
  }
  return constant(omega, [count, width]);
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

function addMultiple(a: Float64Array, b: ArrayLike<number>, factor: number): void {
  for (let i = 0; i < a.length; i++) a[i] += factor * b[i];
}
