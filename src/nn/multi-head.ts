/**
 * What the multi-head attentions share (Vaswani et al. 2017, section 3.2.2): queries, keys and values of all heads from
 * one normalised input, their way back into the stream, and softmax weights with a gradient of few passes.
 * Symbols: B sequences, T tokens, d model width, H heads, w = d / H head width.
 */
import { constant, type Tensor, withGradient } from "../graph/tensor.ts";
import type { Documents } from "./documents.ts";
import { type LinearParameters, linear, linearParameters, linearParts } from "./linear.ts";
import { type AngleTable, rope } from "./positions.ts";
import type { Scope } from "./scope.ts";

export interface MultiHeadConfig {
  /** H; divides the width. */
  readonly heads: number;
  readonly causal: boolean;
}

export interface ChunkedHeadsConfig extends MultiHeadConfig {
  /** C: tokens a chunk. */
  readonly chunk: number;
}

/** What an attention is given beside its input. */
export interface AttentionInputs {
  /** RoPE for queries and keys, [T, w / 2]; none without it. */
  readonly rotations?: AngleTable | undefined;
  /** [B, T]: 1 where a token is real. */
  readonly mask?: Tensor | undefined;
  /** Those that must not see each other; the rotations are then by the place in the document, [B, T, w / 2]. */
  readonly documents?: Documents | undefined;
}

/** Added to a score, it hides it: the softmax of such a score is exactly 0. */
const HIDDEN = -1e30;

/** Queries, keys and values [B, T, d] each, of all heads side by side; the queries times `scale`, at no cost to them. */
export function projections(scope: Scope, x: Tensor, scale = 1): readonly Tensor[] {
  const d = x.shape[2];
  const own = ["query", "key", "value"].map((name) => linearParameters(scope.at(name), d, d));
  const scaled = own.map((part, i) => (i === 0 && scale !== 1 ? times(part, scale) : part));
  return linearParts(x, sideBySide(scaled), [d, d, d]);
}

/** Several maps of one input as one: weights [in, out_0 + out_1 + …]. */
export function sideBySide([first, ...rest]: readonly LinearParameters[]): LinearParameters {
  return {
    weight: first.weight.concat(
      rest.map(({ weight }) => weight),
      1,
    ),
    bias: first.bias.concat(
      rest.map(({ bias }) => bias),
      0,
    ),
  };
}

function times({ weight, bias }: LinearParameters, scale: number): LinearParameters {
  return { weight: weight.mul(scale), bias: bias.mul(scale) };
}

/** q, k, v [B, H, T, w]; q times `scale`, q and k rotated where there are rotations. */
export function headProjections(
  scope: Scope,
  x: Tensor,
  heads: number,
  { rotations, scale = 1 }: { rotations?: AngleTable | undefined; scale?: number },
): { q: Tensor; k: Tensor; v: Tensor } {
  const [q, k, v] = projections(scope, x, scale).map((t) => splitHeads(t, heads));
  return rotations ? { q: ropeOfHeads(q, rotations), k: ropeOfHeads(k, rotations), v } : { q, k, v };
}

/** RoPE of all heads alike: t [B, H, T, w], rotations [T, w / 2] or [B, T, w / 2]. */
export function ropeOfHeads(t: Tensor, { cos, sin }: AngleTable): Tensor {
  if (cos.rank === 2) return rope(t, { cos, sin });
  const [B, T, half] = cos.shape;
  const shape = [B, 1, T, half];
  return rope(t, { cos: cos.reshape(shape), sin: sin.reshape(shape) });
}

/** [B, T, d] -> [B, H, T, w] */
export function splitHeads(t: Tensor, heads: number): Tensor {
  const [B, T, d] = t.shape;
  return t.reshape([B, T, heads, d / heads]).transpose([0, 2, 1, 3]);
}

/** What the heads found, [B, H, T, w], joined and mapped into the stream: [B, T, d]. */
export function attentionOut(scope: Scope, found: Tensor): Tensor {
  const [B, H, T, w] = found.shape;
  const joined = found.transpose([0, 2, 1, 3]).reshape([B, T, H * w]);
  return linear(scope.at("attention_out"), joined, H * w);
}

/** A mask as something to add to scores: 0 where it is 1, -1e30 where it is 0. */
export function hiddenWhereMasked(mask: Tensor): Tensor {
  return mask.sub(1).mul(-HIDDEN);
}

/** The numbers 0 … count - 1. */
export function tokenPositions(count: number): Tensor {
  return constant(
    Float32Array.from({ length: count }, (_, i) => i),
    [count],
  );
}

/** -1e30 where a position [R] is after another, else 0: [R, R]. Made in the graph: no constant grows with T^2. */
export function futureHidden(positions: Tensor): Tensor {
  const isFuture = positions.reshape([-1, 1]).less(positions.reshape([1, -1]));
  return isFuture.where(positions.constant(HIDDEN), positions.constant(0));
}

/**
 * softmax(scores) v: scores [..., R, N], v [..., N, w] -> [..., R, w]. With P the weights and g the gradient of the result,
 *
 *     dv = Pᵀ g = (gᵀ P)ᵀ           only narrow matrices are transposed
 *     dscores = P * (g vᵀ - r)      r = sum of g * result, a number a row: equal to the sum of P * (g vᵀ), and cheaper
 *
 * g vᵀ - r is one product, [g, -r] [v, 1]ᵀ: one column more costs less than a pass over the scores.
 */
export function softmaxMatmul(scores: Tensor, v: Tensor): Tensor {
  const p = scores.softmax();
  const result = p.matmul(v);
  return withGradient(result, [scores, v], (g) => {
    const minusR = g.mul(result).sum([-1]).neg(); // [..., R, 1]
    const ones = v.constant(1).expand([...v.shape.slice(0, -2), 1, v.shape[v.rank - 2]]);
    const dScores = g
      .concat([minusR], -1)
      .matmul(v.swapLast().concat([ones], -2))
      .mul(p);
    return [dScores, g.swapLast().matmul(p).swapLast()];
  });
}

/** [B, H, T, n] cut into chunks of C tokens, with zeros after the last: [B, H, G, C, n]. */
export function headChunks(t: Tensor, chunk: number): Tensor {
  const [B, H, T, n] = t.shape;
  const G = Math.ceil(T / chunk);
  return t.pad(2, 0, G * chunk - T).reshape([B, H, G, chunk, n]);
}

/** The inverse of headChunks: the first T tokens, [B, H, T, n]. */
export function joinHeadChunks(t: Tensor, T: number): Tensor {
  const [B, H, G, C, n] = t.shape;
  return t.reshape([B, H, G * C, n]).slice(2, 0, T);
}

/**
 * Which tokens of the chunks are real, [B or 1, 1, G, C]; undefined when all are, or when what is not lies in the future
 * of every token.
 */
export function realInChunks(
  { chunk: C, causal }: Pick<ChunkedHeadsConfig, "chunk" | "causal">,
  x: Tensor,
  mask: Tensor | undefined,
): Tensor | undefined {
  const [B, T] = x.shape;
  const G = Math.ceil(T / C);
  if (mask) return mask.pad(1, 0, G * C - T).reshape([B, 1, G, C]);
  if (causal || G * C === T) return undefined;
  return x
    .constant(1)
    .expand([1, T])
    .pad(1, 0, G * C - T)
    .reshape([1, 1, G, C]);
}
