/**
 * FLASH (Hua, Dai, Liu, Le 2022, section 3): mixed chunk attention inside a gated attention unit. Inside a chunk of C
 * tokens squared-ReLU attention, exact and quadratic in C; across chunks linear attention, through one [s, e] matrix of
 * sums a chunk. Cost per token does not depend on the length. G = ceil(T / C) chunks.
 */
import type { Tensor } from "../graph/tensor.ts";
import { attend, realKeys, scoreScale } from "./attention-functions.ts";
import { type LinearInputs, linearInDocuments, linearParts } from "./document-sums.ts";
import type { Documents } from "./documents.ts";
import { type GatedUnitConfig, gated, gatedProjection, queriesAndKeys } from "./gated-attention-unit.ts";
import { linear } from "./linear.ts";
import { type AngleTable, causalBias, relativeBias } from "./positions.ts";
import type { QueriesKeysValues } from "./query-blocks.ts";
import type { Scope } from "./scope.ts";

export interface FlashConfig extends GatedUnitConfig {
  /** C: tokens a chunk. */
  readonly chunk: number;
}

/** x [B, T, d] -> [B, T, d] for any T; mask [B, T] is 1 where a token is real; documents do not see each other. */
export function flashLayer(
  scope: Scope,
  x: Tensor,
  config: FlashConfig,
  table: AngleTable,
  mask?: Tensor,
  documents?: Documents,
): Tensor {
  const { u, v, z } = gatedProjection(scope, x, config, mask, documents);
  const heads = queriesAndKeys(scope.at("heads"), z, 4, table, headScales(config, x.shape[1], documents));
  const mixed = mixedChunkAttention(scope.at("bias"), heads, v, config, mask, documents);
  return x.add(linear(scope.at("out"), gated(u, mixed), x.shape[2]));
}

/** What the quadratic query and key and the linear query and key of T tokens are multiplied by. */
function headScales(config: FlashConfig, T: number, documents?: Documents): number[] {
  const { chunk: C, shared: s, attentionFunction = "relu2" } = config;
  return [scoreScale(attentionFunction, C, s), 1, linearScale(config, T, documents), 1];
}

/** What linear queries are multiplied by; looking both ways within documents, each is divided by the length of its own. */
export function linearScale({ chunk: C, causal }: FlashConfig, T: number, documents?: Documents): number {
  return !causal && documents ? 1 : 1 / (causal ? C : T);
}

/**
 * The causal layer continued after finished chunks: x [1, G C, d] starts at a chunk border, `done` [s, e] is the sum of
 * lkᵀ v over all chunks before it. Returns y [1, G C, d] and the sum that includes these chunks.
 */
export function continuedFlashLayer(
  scope: Scope,
  x: Tensor,
  config: FlashConfig,
  table: AngleTable,
  done: Tensor,
): { y: Tensor; done: Tensor } {
  const { u, v, z } = gatedProjection(scope, x, config);
  const heads = queriesAndKeys(scope.at("heads"), z, 4, table, headScales(config, x.shape[1]));
  const { lq, kv, local } = chunkAttention(scope.at("bias"), heads, v, config);
  const memory = kv.shape[1] === 1 ? done : kv.cumsum(1, { exclusive: true }).add(done);
  const mixed = local.add(lq.matmul(memory)).reshape(v.shape);
  const y = x.add(linear(scope.at("out"), gated(u, mixed), x.shape[2]));
  return { y, done: done.add(kv.sum([0, 1]).reshape(done.shape)) };
}

/**
 * heads: quadratic query and key, linear query and key, [B, T, s] each, the queries scaled; v [B, T, e] -> [B, T, e].
 */
export function mixedChunkAttention(
  biasScope: Scope,
  heads: readonly Tensor[],
  v: Tensor,
  config: FlashConfig,
  mask?: Tensor,
  documents?: Documents,
): Tensor {
  const { causal } = config;
  const T = v.shape[1];
  if (documents) {
    const [qq, qk, lq, lk] = heads;
    const chunks = documents.inChunks(config.chunk);
    const { across, weights } = linearParts(asOneHead({ q: lq, k: lk, v }, config.chunk, mask), chunks, causal);
    const more = weights && withoutHeads(weights);
    const local = localAttention(biasScope, { q: qq, k: qk, v }, config, mask, { documents, more });
    return outOfChunks(across ? local.add(withoutHeads(across)) : local, T);
  }
  const { lq, kv, local } = chunkAttention(biasScope, heads, v, config, mask);
  // With one chunk the causal model has nothing distant.
  if (causal && local.shape[1] === 1) return outOfChunks(local, T);
  return outOfChunks(local.add(distantAttention(lq, kv, causal)), T);
}

/** Inside the chunks: the linear queries lq [B, G, C, s], each chunk's sum kv [B, G, s, e], attention local [B, G, C, e]. */
function chunkAttention(
  biasScope: Scope,
  [qq, qk, lq, lk]: readonly Tensor[],
  v: Tensor,
  config: FlashConfig,
  mask?: Tensor,
): { lq: Tensor; kv: Tensor; local: Tensor } {
  const C = config.chunk;
  const local = localAttention(biasScope, { q: qq, k: qk, v }, config, mask);
  return { lq: inChunks(lq, C), kv: chunkSums(lk, v, C, mask), local };
}

/**
 * f(q kᵀ + bias) v inside each chunk: q (scaled) and k [B, T, s], v [B, T, e] -> [B, G, C, e]. Within documents there may be
 * `more` weights [B, G, C, C].
 */
export function localAttention(
  biasScope: Scope,
  { q, k, v }: QueriesKeysValues,
  config: FlashConfig,
  mask?: Tensor,
  { documents, more }: { readonly documents?: Documents | undefined; readonly more?: Tensor | undefined } = {},
): Tensor {
  const { chunk: C, causal, shared: s, attentionFunction = "relu2" } = config;
  const [qc, kc, vc] = [q, k, v].map((t) => inChunks(t, C));
  const bias = relativeBias(biasScope, C, C, s);
  const real = realKeys(attentionFunction, v, config, mask);
  const products = qc.matmul(kc.swapLast()); // [B, G, C, C]
  if (documents) {
    const hidden = documents.inChunks(C).hidden(causal);
    return attend(attentionFunction, products.add(bias).add(hidden), vc, real, more);
  }
  const scores = products.add(causal ? bias.add(causalBias(C)) : bias);
  return attend(attentionFunction, scores, vc, real);
}

/**
 * The linear half within documents: q (scaled by linearScale), k [B, T, s], v [B, T, e] -> [B, G, C, e]; undefined when
 * causal and there is one chunk alone.
 */
export function distantInDocuments(
  inputs: QueriesKeysValues,
  { chunk: C, causal }: FlashConfig,
  documents: Documents,
  mask?: Tensor,
): Tensor | undefined {
  const found = linearInDocuments(asOneHead(inputs, C, mask), documents.inChunks(C), causal);
  return found && withoutHeads(found);
}

/** q, k, v [B, T, .] in chunks of one head, [B, 1, G, C, .], keys of padding zero. */
function asOneHead({ q, k, v }: QueriesKeysValues, C: number, mask: Tensor | undefined): LinearInputs {
  const [qc, kc, vc] = [q, mask ? ofRealTokens(k, mask) : k, v].map((t) => {
    const chunks = inChunks(t, C);
    const [B, G, , w] = chunks.shape;
    return chunks.reshape([B, 1, G, C, w]);
  });
  return { q: qc, k: kc, v: vc };
}

/** [B, 1, G, C, n] -> [B, G, C, n] */
function withoutHeads(t: Tensor): Tensor {
  const [B, , G, C, n] = t.shape;
  return t.reshape([B, G, C, n]);
}

/** Linear queries lq [B, G, C, s] on the sums of the chunks before theirs, or of all: kv [B, G, s, e] -> [B, G, C, e]. */
export function distantAttention(lq: Tensor, kv: Tensor, causal: boolean): Tensor {
  const memory = causal ? kv.cumsum(1, { exclusive: true }) : kv.sum([1]); // [B, G or 1, s, e]
  return lq.matmul(memory);
}

/** kᵀ v of each chunk, of real tokens alone: k [B, T, s], v [B, T, e] -> [B, G, s, e]. */
export function chunkSums(k: Tensor, v: Tensor, C: number, mask?: Tensor): Tensor {
  return inChunks(mask ? ofRealTokens(k, mask) : k, C)
    .swapLast()
    .matmul(inChunks(v, C));
}

/** k [B, T, s] with zeros where mask [B, T] is 0. */
function ofRealTokens(k: Tensor, mask: Tensor): Tensor {
  return k.mul(mask.reshape([...mask.shape, 1]));
}

/** [B, T, w] -> [B, G, C, w], padded with zeros. */
export function inChunks(t: Tensor, C: number): Tensor {
  const [B, T, w] = t.shape;
  const G = Math.ceil(T / C);
  return t.pad(1, 0, G * C - T).reshape([B, G, C, w]);
}

/** The first T tokens of chunks [B, G, C, e]: [B, T, e]. */
export function outOfChunks(t: Tensor, T: number): Tensor {
  const [B, G, C, e] = t.shape;
  return t.reshape([B, G * C, e]).slice(1, 0, T);
}
