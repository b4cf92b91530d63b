/**
 * FLASH with one half of its attention (Hua, Dai, Liu, Le 2022, section 4, ablations): local, quadratic attention inside
 * chunks alone, or global, linear attention across them alone. Two queries and keys are left of the four, and global has
 * no bias; the rest is the layer of mixed-chunk-attention.ts, whose attention is the sum of these two.
 */
import type { Tensor } from "../graph/tensor.ts";
import { scoreScale } from "./attention-functions.ts";
import type { Documents } from "./documents.ts";
import { gated, gatedProjection, queriesAndKeys } from "./gated-attention-unit.ts";
import { linear } from "./linear.ts";
import {
  chunkSums,
  distantAttention,
  distantInDocuments,
  type FlashConfig,
  inChunks,
  linearScale,
  localAttention,
  outOfChunks,
} from "./mixed-chunk-attention.ts";
import type { AngleTable } from "./positions.ts";
import type { Scope } from "./scope.ts";

export interface AblatedFlashConfig extends FlashConfig {
  readonly attention: "local" | "global";
}

/** x [B, T, d] -> [B, T, d] for any T; mask [B, T] is 1 where a token is real; documents do not see each other. */
export function ablatedFlashLayer(
  scope: Scope,
  x: Tensor,
  config: AblatedFlashConfig,
  table: AngleTable,
  mask?: Tensor,
  documents?: Documents,
): Tensor {
  const { chunk: C, attention, causal, shared: s, attentionFunction = "relu2" } = config;
  const { u, v, z } = gatedProjection(scope, x, config, mask, documents);
  const T = x.shape[1];
  const scale = attention === "local" ? scoreScale(attentionFunction, C, s) : linearScale(config, T, documents);
  const [q, k] = queriesAndKeys(scope.at("heads"), z, 2, table, [scale, 1]);
  // In one chunk there is nothing distant, and the sum over no chunks is the same with documents and without.
  const distant = () =>
    (documents && distantInDocuments({ q, k, v }, config, documents, mask)) ??
    distantAttention(inChunks(q, C), chunkSums(k, v, C, mask), causal);
  const attended =
    attention === "local" ? localAttention(scope.at("bias"), { q, k, v }, config, mask, { documents }) : distant(); // [B, G, C, e]
  return x.add(linear(scope.at("out"), gated(u, outOfChunks(attended, T)), x.shape[2]));
}
