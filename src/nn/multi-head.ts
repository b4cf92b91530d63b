/**
 * What the multi-head attentions share (Vaswani et al. 2017, section 3.2.2): queries, keys and values of all heads from
 * one normalised input, their way back into the stream, and softmax weights with a gradient of few passes.
 * Symbols: B sequences, T tokens, d model width, H heads, w = d / H head width.
 */
import type { Tensor } from "../graph/tensor.ts";
import type { Documents } from "./documents.ts";
import { type LinearParameters, linear, linearMaps, linearParameters } from "./linear.ts";
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

/** Queries, keys and values [B, T, d] each, of all heads side by side; the queries times `scale`, at no cost to them. */
export function projections(scope: Scope, x: Tensor, scale = 1): readonly Tensor[] {
  const d = x.shape[2];
  const own = ["query", "key", "value"].map((name) => linearParameters(scope.at(name), d, d));
  const scaled = own.map((part, i) => (i === 0 && scale !== 1 ? times(part, scale) : part));
  return linearMaps(x, scaled);
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
