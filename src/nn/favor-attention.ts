/**
 * FAVOR+, the attention of Performer (Choromanski et al. 2021, "Rethinking Attention with Performers", section 2):
 * softmax attention estimated by positive random features, at a cost linear in T.
 *
 *     phi(t) = exp(omega t' - |t'|^2 / 2) / sqrt(m)       t' = t / w^(1/4), omega [m, w] a fixed random projection
 *     y_i    = sum_j (phi(q_i) . phi(k_j)) v_j / sum_j phi(q_i) . phi(k_j)
 *
 * A factor common to all features of one query, or to all keys of a head, cancels in y. So 1 / sqrt(m) and the query's
 * |t'|^2 / 2 are left out, and the largest exponent is subtracted to prevent overflow: the largest over all keys or
 * over each document, whose weights might otherwise underflow next to another's. m features, w head width.
 */
import { randomKey, randomNormals } from "../base/random.ts";
import { constant, type Tensor, withGradient } from "../graph/tensor.ts";
import { inChunks, outOfChunks } from "./chunks.ts";
import { largestInDocuments } from "./document-sums.ts";
import type { Layer, LayerInputs, Stepped, Tensors } from "./layer.ts";
import { addCompensated, linearAttention } from "./linear-attention.ts";
import { attentionOut, headProjections, type MultiHeadConfig } from "./multi-head.ts";
import type { NewTokens } from "./new-tokens.ts";
import type { Scope } from "./scope.ts";
import { type ChunkVisibility, HIDDEN, hiddenWhereZero } from "./visibility.ts";

interface FavorConfig extends MultiHeadConfig {
  /** omega [m, w]; not trained. */
  readonly features: Tensor;
  /** Tokens in a chunk of the running sums: changes speed, and the rounding in decoding. */
  readonly sumChunk?: number;
}

/** Balances the products inside a chunk, C (m + w) a token, with those across chunks, 2 m w, at w = 64 and m = 256. */
export const SUM_CHUNK = 128;
/** Avoids 0 / 0 for a query whose weights have all underflowed. */
const SMALLEST = 1e-30;
/** The largest exponent of no tokens: below any real one, and above that of padding, whose features become 0. */
const NO_PEAK = HIDDEN / 2;

export function favorAttention({ width, heads: H, features, sumChunk = SUM_CHUNK, outputMaps }: FavorConfig): Layer {
  const [m, w] = [features.shape[0], width / H];
  const omega = features.mul(w ** -0.25); // t' = t / w^(1/4), without a pass over queries and keys

  function forward(scope: Scope, x: Tensor, { rotations, visibility }: LayerInputs): Tensor {
    const T = x.shape[1];
    const { q, k, v } = headProjections(scope, x, { heads: H, rotations }); // [B, H, T, w] each
    const C = visibility.causal || visibility.documents ? Math.min(sumChunk, T) : T;
    const chunks = visibility.inChunks(C, T);
    const [qc, kc, vc] = [q, k, withOnes(v)].map((t) => inChunks(t, C)); // [B, H, G, C, .] each
    const exponents = keyExponents(omega, kc, afterTheEnd(kc, T)); // [B, H, G, m, C]
    const phiK = exponents.sub(withoutGradient(largestExponent(exponents, chunks))).exp();
    const inputs = { q: queryFeatures(omega, qc), k: phiK, v: vc };
    const sums = linearAttention(inputs, chunks); // [B, H, G, C, w + 1]
    return attentionOut(scope, ratio(outOfChunks(sums, T)), outputMaps);
  }

  /**
   * The state is openSum [B, H, m, w + 1], the sum of phi(k) vᵀ over the open span and in its last column that of
   * phi(k), both times e^(-peak), and peak, the largest exponent so far. When a larger one comes the sums are rescaled,
   * which cancels in the ratio and keeps them finite. closedSum and closedPeak are the same for closed spans: to a
   * single sum a late token would add little but rounding errors.
   */
  function step(scope: Scope, x: Tensor, tokens: NewTokens, state: Tensors): Stepped {
    const { openSum, peak, closedSum, closedPeak } = state;
    const { q, k, v } = headProjections(scope, x, { heads: H, rotations: tokens.rotations });
    const padding = tokens.real && hiddenWhereZero(tokens.real).reshape([...tokens.batch, 1, 1, tokens.tokens]);
    const exponents = keyExponents(omega, k, padding); // [B, H, m, P]
    const newPeak = peak.max(exponents.maximum([-2, -1])); // [B, H, 1, 1]
    const phiK = exponents.sub(newPeak).exp();
    const phiQ = queryFeatures(omega, q); // [B, H, P, m]
    const values = withOnes(v);
    const rescaled = openSum.mul(peak.sub(newPeak).exp()); // [B, H, m, w + 1]
    const ofClosed = phiQ.matmul(closedSum).mul(closedPeak.sub(newPeak).exp()); // [B, H, P, w + 1]
    const future = tokens.hiddenFuture();
    const weights = phiQ.matmul(phiK); // [B, H, P, P]
    const ofNew = (future ? weights.mul(future.exp()) : weights).matmul(values);
    return {
      y: attentionOut(scope, ratio(ofClosed.add(phiQ.matmul(rescaled)).add(ofNew)), outputMaps),
      state: { openSum: rescaled.add(phiK.matmul(values)), peak: newPeak },
    };
  }

  /** Adds the open sum to the closed one, both times e^(-peak), and empties it. */
  function close(_: Scope, { openSum, peak, closedSum, compensation, closedPeak }: Tensors): Tensors {
    const scale = closedPeak.sub(peak).exp();
    const after = addCompensated({ sum: closedSum.mul(scale), compensation: compensation.mul(scale) }, openSum);
    return {
      closedSum: after.sum,
      compensation: after.compensation,
      closedPeak: peak,
      openSum: openSum.zeros(openSum.shape),
    };
  }

  const sum = { shape: [H, m, w + 1], change: "replaced", initial: 0 } as const;
  const largest = { shape: [H, 1, 1], change: "replaced", initial: NO_PEAK } as const;
  return {
    forward,
    recurrence: {
      span: sumChunk,
      state: { openSum: sum, peak: largest, closedSum: sum, compensation: sum, closedPeak: largest },
      step,
      close,
    },
  };
}

/** v with a column of ones, which turns into the sum of the weights. */
function withOnes(v: Tensor): Tensor {
  return v.concat([v.constant(1).expand([...v.shape.slice(0, -1), 1])], -1);
}

/** Weighted sums divided by the sum of weights, their last column: [..., w + 1] -> [..., w]. */
function ratio(sums: Tensor): Tensor {
  const [weighted, total] = sums.split(-1, [sums.shape[sums.rank - 1] - 1, 1]);
  return weighted.mul(total.max(SMALLEST).reciprocal());
}

/** phi of queries [..., w], up to a factor: exp(s - max s) over the features, [..., m]. */
function queryFeatures(omega: Tensor, q: Tensor): Tensor {
  const s = q.matmul(omega.swapLast());
  return s.sub(withoutGradient(s.maximum([-1]))).exp();
}

/** omega k' - |k'|^2 / 2 of keys k [..., C, w], plus `hidden` of a shape that broadcasts: [..., m, C]. */
function keyExponents(omega: Tensor, k: Tensor, hidden: Tensor | undefined): Tensor {
  const keys = k.swapLast(); // [..., w, C]
  const halfSquare = keys
    .mul(keys)
    .sum([-2])
    .mul(0.5 / Math.sqrt(omega.shape[1])); // [..., 1, C]
  return omega.matmul(keys).sub(hidden ? halfSquare.sub(hidden) : halfSquare);
}

/** The largest of the exponents [B, H, G, m, C] of each head, or of each token's document. */
function largestExponent(exponents: Tensor, { documents }: ChunkVisibility): Tensor {
  if (!documents) return exponents.maximum([-3, -2, -1]);
  const [B, H, G, , C] = exponents.shape;
  const ofTokens = exponents.maximum([-2]).reshape([B, H, G * C]);
  return largestInDocuments(ofTokens, documents.segmentIds.reshape([B, G * C])).reshape([B, H, G, 1, C]);
}

/** [G, 1, C] for chunks [B, H, G, C, w]: HIDDEN after the last of T tokens, else 0; undefined when T fills them. */
function afterTheEnd(chunks: Tensor, T: number): Tensor | undefined {
  const [, , G, C] = chunks.shape;
  if (G * C === T) return undefined;
  const one = chunks.constant(1).expand([T]);
  return hiddenWhereZero(one.pad(0, 0, G * C - T)).reshape([G, 1, C]);
}

/** For what is subtracted to avoid overflow: the result does not depend on it, so its gradient is zero. */
function withoutGradient(t: Tensor): Tensor {
  return withGradient(t, [], () => []);
}

/**
 * The random projection omega [m, w] of one layer (section 2.4, "orthogonal random features"): within each block of w
 * rows these are orthogonal to each other, and each is as long as a vector of w independent normal numbers.
 */
export function orthogonalFeatures(count: number, width: number, seed: number, layer: number): Tensor {
  const directions = randomNormals(randomKey(seed, "FAVOR+ directions", layer), count * width);
  const lengths = randomNormals(randomKey(seed, "FAVOR+ lengths", layer), count * width);
  const rows = Float64Array.from(directions);
  for (let i = 0; i < count; i++) {
    const row = rows.subarray(i * width, (i + 1) * width);
    // Gram-Schmidt, twice: the second pass removes the rounding errors of the first.
    for (let pass = 0; pass < 2; pass++) {
      for (let j = i - (i % width); j < i; j++) {
        const other = rows.subarray(j * width, (j + 1) * width);
        addMultiple(row, other, -dot(row, other));
      }
    }
    const inverse = 1 / Math.sqrt(dot(row, row));
    for (let a = 0; a < width; a++) row[a] *= inverse;
  }
  const omega = new Float32Array(count * width);
  for (let i = 0; i < count; i++) {
    const normal = lengths.subarray(i * width, (i + 1) * width);
    const length = Math.sqrt(dot(normal, normal));
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
