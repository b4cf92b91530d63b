/**
 * Positions of tokens: scaled sinusoidal embedding, rotary embedding (RoPE, Su et al. 2021) and the two relative
 * position biases of the FLASH paper (code of its appendix). Angles are computed on the host in float64: at position
 * 100,000 a float32 angle would be wrong in the third digit.
 */
import { constant, type Tensor, withGradient } from "../graph/tensor.ts";
import type { Scope } from "./scope.ts";

/** Queries and keys, [..., T, s] each; the queries scaled. */
export interface QueriesKeys {
  readonly q: Tensor;
  readonly k: Tensor;
}

/** Cosines and sines of position * 10000^(-i / half): [positions, half] each; of documents in windows [B, T, half]. */
export interface AngleTable {
  readonly cos: Tensor;
  readonly sin: Tensor;
}

/** The same on the host. */
interface HostAngles {
  readonly cos: Float32Array;
  readonly sin: Float32Array;
}

/** Host tables for positions start … start + count - 1. */
export function angles(start: number, count: number, half: number): HostAngles {
  const table = { cos: new Float32Array(count * half), sin: new Float32Array(count * half) };
  fillAngles(table, { frequencies: frequencies(half), start, count, at: 0 });
  return table;
}

/** The angle per position for each pair of features: 10000^(-i / half). */
export function frequencies(half: number): Float64Array {
  return Float64Array.from({ length: half }, (_, i) => 10000 ** (-i / half));
}

interface AngleRows {
  readonly frequencies: Float64Array;
  /** Positions start … start + count - 1, written from row `at` on. */
  readonly start: number;
  readonly count: number;
  readonly at: number;
}

export function fillAngles({ cos, sin }: HostAngles, { frequencies, start, count, at }: AngleRows): void {
  const half = frequencies.length;
  for (let t = 0; t < count; t++) {
    const row = (at + t) * half;
    for (let i = 0; i < half; i++) {
      const angle = (start + t) * frequencies[i];
      cos[row + i] = Math.cos(angle);
      sin[row + i] = Math.sin(angle);
    }
  }
}

/** The angles a + b, by the addition theorem; of shapes that broadcast. */
export function addAngles(a: AngleTable, b: AngleTable): AngleTable {
  return { cos: a.cos.mul(b.cos).sub(a.sin.mul(b.sin)), sin: a.sin.mul(b.cos).add(a.cos.mul(b.sin)) };
}

/** The table of positions 0 … count - 1 for vectors of the given width, as constants of the graph. */
export function angleTable(count: number, width: number): AngleTable {
  const half = width / 2;
  const { cos, sin } = angles(0, count, half);
  return { cos: constant(cos, [count, half]), sin: constant(sin, [count, half]) };
}

/** Positions are told from 0 to 2^24 - 1, as digits to base 64. */
const DIGITS = { base: 64, count: 4 } as const;

/**
 * The same for positions start … start + count - 1, from start [1] int32 < 2^24, computed in the graph: the angles of each
 * digit of the position are a table, and the addition theorem adds them. A float32 angle itself would be wrong by 0.06
 * at position 1,000,000; these are within 5e-7 everywhere.
 */
export function anglesAt(start: Tensor, count: number, half: number): AngleTable {
  const { base } = DIGITS;
  let rest = start;
  let unit = 1;
  const parts = Array.from({ length: DIGITS.count }, () => {
    const higher = rest.div(base);
    const digit = rest.sub(higher.mul(base));
    const table = { cos: new Float32Array(base * half), sin: new Float32Array(base * half) };
    const ofUnit = frequencies(half).map((frequency) => frequency * unit);
    fillAngles(table, { frequencies: ofUnit, start: 0, count: base, at: 0 });
    const [cos, sin] = [table.cos, table.sin].map((data) => constant(data, [base, half]).gather(digit)); // [1, half]
    rest = higher;
    unit *= base;
    return { cos, sin };
  });
  const first = parts.reduce(addAngles);
  return count === 1 ? first : addAngles(angleTable(count, 2 * half), first);
}

/** Angles for vectors of so many pairs, [..., pairs]: where there are fewer, the other pairs are not rotated. */
export function anglesOfPairs({ cos, sin }: AngleTable, pairs: number): AngleTable {
  const missing = pairs - cos.shape[cos.rank - 1];
  if (missing === 0) return { cos, sin };
  const none = [...cos.shape.slice(0, -1), missing];
  return { cos: cos.concat([cos.constant(1).expand(none)], -1), sin: sin.pad(-1, 0, missing) };
}

/** RoPE, half-split: pairs are (i, i + half). x [..., tokens, width]; angles [tokens, half], or what broadcasts. */
export function rope(x: Tensor, { cos, sin }: AngleTable): Tensor {
  const half = x.shape[x.rank - 1] / 2;
  const [a, b] = x.split(-1, [half, half]);
  const rotated = a
    .mul(cos)
    .sub(b.mul(sin))
    .concat([b.mul(cos).add(a.mul(sin))], -1);
  return withGradient(rotated, [x], (g) => {
    const [da, db] = g.split(-1, [half, half]); // the gradient is rotated back
    return [
      da
        .mul(cos)
        .add(db.mul(sin))
        .concat([db.mul(cos).sub(da.mul(sin))], -1),
    ];
  });
}

/** RoPE of heads side by side: x [B, T, H s], angles [T, s / 2] or [B, T, s / 2]. */
export function ropeOfHeads(x: Tensor, { cos, sin }: AngleTable): Tensor {
  const [B, T, width] = x.shape;
  const [half] = cos.shape.slice(-1);
  const ofHeads = (t: Tensor) => t.reshape([...t.shape.slice(0, -1), 1, half]);
  const heads = x.reshape([B, T, width / (2 * half), 2 * half]);
  return rope(heads, { cos: ofHeads(cos), sin: ofHeads(sin) }).reshape(x.shape);
}

/** Absolute position embedding [..., width]: sines then cosines, times one learned scalar. */
export function scaledSinusoid(scope: Scope, { cos, sin }: AngleTable, start: number): Tensor {
  const scale = scope.parameter("scale", [1], { constant: start });
  return sin.concat([cos], -1).mul(scale);
}

/** From this length on a relative bias is rotary, below it is a Toeplitz matrix (paper, appendix). */
export const ROTARY_BIAS_FROM = 512;

/**
 * Relative position bias of a span of `length` positions, for the first `tokens` of them: [tokens, tokens].
 * Below 512 a learned value per distance ("weight", [2 length - 1]), else rope(a, i) . rope(b, j) ("a", "b", [s]).
 */
export function relativeBias(scope: Scope, length: number, tokens: number, s: number): Tensor {
  if (length < ROTARY_BIAS_FROM) {
    const weight = biasWeights(scope, length);
    return toeplitz(weight.slice(0, length - tokens, length + tokens - 1));
  }
  const [a, b] = rotatedBiasVectors(scope, tokens, s);
  return a.matmul(b.swapLast());
}

/** The vectors a and b [s] of a rotary bias. */
export function biasVectors(scope: Scope, s: number): readonly Tensor[] {
  return ["a", "b"].map((name) => scope.parameter(name, [s], { normal: 0.02 }));
}

/** The vectors a and b of a rotary bias, rotated to positions 0 … tokens - 1: [tokens, s] each. */
export function rotatedBiasVectors(scope: Scope, tokens: number, s: number): readonly Tensor[] {
  const table = angleTable(tokens, s);
  return biasVectors(scope, s).map((vector) => rope(vector.reshape([1, s]).expand([tokens, s]), table));
}

/**
 * q and k [B, T, 2 s], concatenated with the factors a and b [T, s] or [B, T, s] of a rotary bias: their product is
 * q kᵀ + a bᵀ, without a pass for the bias.
 */
export function withRotaryBias({ q, k }: QueriesKeys, [a, b]: readonly Tensor[]): QueriesKeys {
  return { q: q.concat([a.expand(q.shape)], -1), k: k.concat([b.expand(k.shape)], -1) };
}

/** The weights [2 length - 1] of a bias by distance: first that of a query length - 1 positions after its key. */
export function biasWeights(scope: Scope, length: number): Tensor {
  return scope.parameter("weight", [2 * length - 1], { normal: 0.02 });
}

/**
 * [n, n] with w[j - i + n - 1] at [i, j], from w [2 n - 1], by reshaping alone: w is repeated in rows of 2 n elements
 * that are then read as rows of 2 n - 1, so that each row is shifted by one against the row before.
 */
export function toeplitz(w: Tensor): Tensor {
  const n = (w.size + 1) / 2;
  if (n === 1) return w.reshape([1, 1]);
  return w
    .pad(0, 0, 1) // [2 n]
    .reshape([1, 2 * n])
    .expand([n, 2 * n])
    .reshape([2 * n * n])
    .slice(0, n - 1, n - 1 + n * (2 * n - 1))
    .reshape([n, 2 * n - 1])
    .slice(1, 0, n);
}

/** The numbers 0 … count - 1, float32 [count]. */
export function tokenPositions(count: number): Tensor {
  return constant(
    Float32Array.from({ length: count }, (_, i) => i),
    [count],
  );
}
