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
import { acrossChunks, largestInDocuments } from "./document-sums.ts";
import type { ChunkDocuments } from "./documents.ts";
import {
  type AttentionInputs,
  attentionOut,
  headChunks,
  headProjections,
  joinHeadChunks,
  type MultiHeadConfig,
} from "./multi-head.ts";
import { causalBias } from "./positions.ts";
import type { Scope } from "./scope.ts";
import { hiddenWhereMasked } from "./visibility.ts";

export interface FavorConfig extends MultiHeadConfig {
  /** Tokens a chunk of the running sums: a matter of speed alone. */
  readonly sumChunk?: number;
}

/** Balances products inside a chunk, that cost C (m + w) a token, and those across, 2 m w, at w = 64 and m = 256. */
export const SUM_CHUNK = 128;
/** Keeps a query that all its keys have left without weight (by underflow) from dividing zero by zero. */
const SMALLEST = 1e-30;

/** x [B, T, d] -> [B, T, d]; features [m, w], not trained. */
export function favorAttention(
  scope: Scope,
  x: Tensor,
  features: Tensor,
  { heads, causal, sumChunk = SUM_CHUNK }: FavorConfig,
  { rotations, mask, documents }: AttentionInputs = {},
): Tensor {
  const [B, T, d] = x.shape;
  const w = d / heads;
  const { q, k, v } = headProjections(scope, x, heads, { rotations }); // [B, H, T, w] each
  const omega = features.mul(w ** -0.25); // [m, w]
  const ones = v.constant(1).expand([B, heads, T, 1]);
  const values = v.concat([ones], -1); // [B, H, T, w + 1]: the sum of weights comes out as one more column
  const C = causal || documents ? Math.min(sumChunk, T) : T;
  const chunks = documents?.inChunks(C);
  const [qc, kc, vc] = [q, k, values].map((t) => headChunks(t, C)); // [B, H, G, C, n] each
  const phiQ = queryFeatures(qc.matmul(omega.swapLast())); // [B, H, G, C, m]
  const phiK = keyFeatures(omega, kc.swapLast(), { documents: chunks, absent: afterTheEnd(kc, T) }); // [B, H, G, m, C]
  const realK = mask ? phiK.mul(mask.pad(1, 0, kc.shape[2] * C - T).reshape([B, 1, kc.shape[2], 1, C])) : phiK;
  const sums = chunks
    ? sumsInDocuments(phiQ, realK, vc, chunks, causal)
    : causal
      ? causalSums(phiQ, realK, vc)
      : phiQ.matmul(realK.matmul(vc)); // [B, H, G, C, w + 1]
  return attentionOut(scope, ratio(joinHeadChunks(sums, T)));
}

/** The weighted sums over the sum of weights, which is their last column: [..., w + 1] -> [..., w]. */
export function ratio(sums: Tensor): Tensor {
  const [weighted, total] = sums.split(-1, [sums.shape[sums.rank - 1] - 1, 1]);
  return weighted.mul(total.max(SMALLEST).reciprocal());
}

/** exp(s - max s) over the features of each query. */
export function queryFeatures(s: Tensor): Tensor {
  return s.sub(withoutGradient(s.maximum([-1]))).exp();
}

/** phi of the keys k [B, H, G, w, C], transposed as they are used twice: [B, H, G, m, C]; absent: see afterTheEnd. */
function keyFeatures(
  omega: Tensor,
  k: Tensor,
  { documents, absent }: { readonly documents: ChunkDocuments | undefined; readonly absent: Tensor | undefined },
): Tensor {
  const [B, H, G, w, C] = k.shape;
  const halfSquare = k
    .mul(k)
    .sum([-2])
    .mul(0.5 / Math.sqrt(w)); // [B, H, G, 1, C]
  const exponents = omega.matmul(k).sub(absent ? halfSquare.add(absent) : halfSquare); // [B, H, G, m, C]
  if (!documents) return exponents.sub(withoutGradient(exponents.maximum([-3, -2, -1]))).exp();
  const ofTokens = exponents.maximum([-2]).reshape([B, H, G * C]);
  const largest = largestInDocuments(ofTokens, documents.numbers.reshape([-1, G * C]));
  return exponents.sub(withoutGradient(largest).reshape([B, H, G, 1, C])).exp();
}

/** 1e30 at the places of the chunks that have no token, else 0: [G, 1, C]; undefined when each has one. */
function afterTheEnd(chunks: Tensor, T: number): Tensor | undefined {
  const [, , G, C] = chunks.shape;
  if (G * C === T) return undefined;
  const one = chunks.constant(1).expand([T]);
  return hiddenWhereMasked(one.pad(0, 0, G * C - T))
    .neg()
    .reshape([G, 1, C]);
}

/** The result does not depend on what is subtracted, so its gradient is zero. */
function withoutGradient(t: Tensor): Tensor {
  return withGradient(t, [], () => []);
}

/**
 * sum over j <= i of (phiQ_i . phiK_j) values_j: exact inside a chunk of C tokens, and through the running sum of phiK values
 * of the earlier chunks. phiQ [B, H, G, C, m], phiK [B, H, G, m, C], values [B, H, G, C, n] -> [B, H, G, C, n].
 */
function causalSums(phiQ: Tensor, phiK: Tensor, values: Tensor): Tensor {
  const [, , G, C] = phiQ.shape;
  const local = phiQ.matmul(phiK).mul(pastOrPresent(C)).matmul(values);
  if (G === 1) return local;
  const before = phiK.matmul(values).cumsum(2, { exclusive: true }); // [B, H, G, m, n]
  return local.add(phiQ.matmul(before));
}

/** The same sums over the tokens of the own document, when not causal over all of them. */
function sumsInDocuments(
  phiQ: Tensor,
  phiK: Tensor,
  values: Tensor,
  documents: ChunkDocuments,
  causal: boolean,
): Tensor {
  const [B, , G, C] = phiQ.shape;
  const visible = documents.visible(causal).reshape([B, 1, G, C, C]);
  const own = phiQ.matmul(phiK).mul(visible).matmul(values);
  const sums = (counted: Tensor) => phiK.mul(counted.reshape([B, 1, G, 1, C])).matmul(values);
  const others = acrossChunks(phiQ, sums, documents, causal);
  return others ? own.add(others) : own;
}

/** 1 on and below the diagonal, 0 above: [n, n]. */
function pastOrPresent(n: number): Tensor {
  return causalBias(n).exp();
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
