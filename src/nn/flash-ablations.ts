/**
 * FLASH with one half of its attention (Hua, Dai, Liu, Le 2022, section 4, ablations): local, quadratic attention inside
 * chunks alone, or global, linear attention across them alone. Two queries and keys are left of the four, and global has
 * no bias; the rest is the layer of mixed-chunk-attention.ts, whose attention is the sum of these two.
 */
import type { Tensor } from "../graph/tensor.ts";
import { attend, realKeys, scoreScale } from "./attention-functions.ts";
import { type GatedUnitConfig, gated, gatedProjection, queriesAndKeys } from "./gated-attention-unit.ts";
import { linear } from "./linear.ts";
import { type AngleTable, causalBias, relativeBias } from "./positions.ts";
import type { Scope } from "./scope.ts";

export interface AblatedFlashConfig extends GatedUnitConfig {
  /** C: tokens a chunk. */
  readonly chunk: number;
  readonly attention: "local" | "global";
}

/** x [B, T, d] -> [B, T, d] for any T; mask [B, T] is 1 where a token is real. */
export function ablatedFlashLayer(
  scope: Scope,
  x: Tensor,
  config: AblatedFlashConfig,
  table: AngleTable,
  mask?: Tensor,
): Tensor {
  const { chunk: C, attention, causal, shared: s, attentionFunction = "relu2" } = config;
  const { u, v, z } = gatedProjection(scope, x, config, mask);
  const scale = attention === "local" ? scoreScale(attentionFunction, C, s) : 1 / (causal ? C : x.shape[1]);
  const [q, k] = queriesAndKeys(scope.at("heads"), z, 2, table, [scale, 1]);
  const attended =
    attention === "local"
      ? localAttention(scope.at("bias"), { q, k, v }, config, mask)
      : globalAttention({ q, k, v }, config, mask);
  return x.add(linear(scope.at("out"), gated(u, attended), x.shape[2]));
}

interface Heads {
  /** [B, T, s], scaled. */
  readonly q: Tensor;
  /** [B, T, s] */
  readonly k: Tensor;
  /** [B, T, e] */
  readonly v: Tensor;
}

function localAttention(scope: Scope, { q, k, v }: Heads, config: AblatedFlashConfig, mask?: Tensor): Tensor {
  const { chunk: C, causal, shared, attentionFunction = "relu2" } = config;
  const [qc, kc, vc] = [q, k, v].map((t) => inChunks(t, C));
  const bias = relativeBias(scope, C, C, shared);
  const scores = qc.matmul(kc.swapLast()).add(causal ? bias.add(causalBias(C)) : bias); // [B, G, C, C]
  return outOfChunks(attend(attentionFunction, scores, vc, realKeys(attentionFunction, v, config, mask)), v);
}

function globalAttention({ q, k, v }: Heads, { chunk: C, causal }: AblatedFlashConfig, mask?: Tensor): Tensor {
  const keys = mask ? k.mul(mask.reshape([...mask.shape, 1])) : k;
  if (!causal) return q.matmul(keys.swapLast().matmul(v));
  const [qc, kc, vc] = [q, keys, v].map((t) => inChunks(t, C));
  const before = kc.swapLast().matmul(vc).cumsum(1, { exclusive: true }); // [B, G, s, e]
  return outOfChunks(qc.matmul(before), v);
}

/** [B, T, w] -> [B, G, C, w], padded with zeros. */
function inChunks(t: Tensor, C: number): Tensor {
  const [B, T, w] = t.shape;
  const G = Math.ceil(T / C);
  return t.pad(1, 0, G * C - T).reshape([B, G, C, w]);
}

/** [B, G, C, e] -> [B, T, e], the shape of v. */
function outOfChunks(t: Tensor, v: Tensor): Tensor {
  const [B, T, e] = v.shape;
  return t.reshape([B, -1, e]).slice(1, 0, T);
}
