/**
 * The gated attention unit (Hua, Dai, Liu, Le 2022, section 2 and figure 2): one layer that is attention and gated
 * feed-forward at once. Alone, with attention over the whole sequence, it is the layer of FLASH-Quad.
 * Symbols are the paper's: d model width, e = 2d gated width, s width of the shared z, u, v, z, gamma, beta, a.
 */
import type { Tensor } from "../graph/tensor.ts";
import { silu } from "./activations.ts";
import { type AttentionFunction, scoreScale } from "./attention-functions.ts";
import type { Documents } from "./documents.ts";
import { linear, linearParameters, linearParts, scaleAndShift } from "./linear.ts";
import { type NormKind, norm } from "./norm.ts";
import { type AngleTable, rope } from "./positions.ts";
import { quadraticAttention } from "./quadratic-attention.ts";
import type { Scope } from "./scope.ts";
import { shiftTokens } from "./token-shift.ts";

export interface GatedUnitConfig {
  /** e: width of the gate u and the values v. */
  readonly expanded: number;
  /** s: width of the shared representation z, of queries and keys. */
  readonly shared: number;
  readonly norm: NormKind;
  readonly causal: boolean;
  /** What scores of the quadratic attention become; default: relu2. */
  readonly attentionFunction?: AttentionFunction;
  /** false: the unit has no gate u, and its output is W_o (A v); default: true. */
  readonly gate?: boolean;
  /** Whether half of the normalised features come from the token before; default: false. */
  readonly tokenShift?: boolean;
}

export interface GauConfig extends GatedUnitConfig {
  /** n: the divisor of the scores and the span of the bias; a constant of the model, never the current length. */
  readonly maxLength: number;
  /** Whether the square of attention is computed again in the backward pass, a block of queries at a time. */
  readonly recompute?: boolean | undefined;
}

/** x [B, T, d] -> [B, T, d]; mask [B, T] is 1 where a token is real; documents, where there are any, do not see each other. */
export function gatedAttentionUnit(
  scope: Scope,
  x: Tensor,
  config: GauConfig,
  table: AngleTable,
  mask?: Tensor,
  documents?: Documents,
): Tensor {
  const { u, v, z } = gatedProjection(scope, x, config, mask, documents);
  const scale = scoreScale(config.attentionFunction ?? "relu2", config.maxLength, config.shared);
  const [q, k] = queriesAndKeys(scope.at("heads"), z, 2, table, [scale, 1]);
  const attended = quadraticAttention(scope.at("bias"), { q, k, v, mask, documents }, config);
  return x.add(linear(scope.at("out"), gated(u, attended), x.shape[2]));
}

/** u (undefined in a unit without gate), v [B, T, e] and z [B, T, s]: SiLU of one linear map of the normalised input. */
export function gatedProjection(
  scope: Scope,
  x: Tensor,
  config: GatedUnitConfig,
  mask?: Tensor,
  documents?: Documents,
): { u: Tensor | undefined; v: Tensor; z: Tensor } {
  const normal = norm(scope.at("norm"), x, config.norm);
  const widths = hiddenWidths(config);
  const total = widths.reduce((sum, width) => sum + width);
  const hidden = linearParameters(scope.at("hidden"), x.shape[2], total);
  const seen = config.tokenShift ? shiftTokens(normal, mask, documents) : normal;
  const parts = linearParts(seen, hidden, widths).map(silu);
  const [v, z] = parts.slice(-2);
  return { u: parts.length === 3 ? parts[0] : undefined, v, z };
}

/** Columns of the hidden map: u, v and z, or v and z alone. */
export function hiddenWidths({ expanded: e, shared: s, gate = true }: GatedUnitConfig): readonly number[] {
  return gate ? [e, e, s] : [e, s];
}

/** u * attended, or what was attended itself where there is no gate. */
export function gated(u: Tensor | undefined, attended: Tensor): Tensor {
  return u === undefined ? attended : u.mul(attended);
}

/**
 * The cheap maps that turn the one z into every query and key: per-dimension scale gamma and offset beta
 * [count, s] each, then RoPE. `scales` multiply each result (the 1/n of the scores, at no cost to activations).
 */
export function queriesAndKeys(
  scope: Scope,
  z: Tensor,
  count: number,
  table: AngleTable,
  scales: readonly number[],
): readonly Tensor[] {
  const s = z.shape[z.rank - 1];
  const gammas = rows(scope.parameter("gamma", [count, s], { constant: 1 }));
  const betas = rows(scope.parameter("beta", [count, s], { constant: 0 }));
  return gammas.map((gamma, i) => rope(scaleAndShift(z, gamma.mul(scales[i]), betas[i].mul(scales[i])), table));
}

function rows(matrix: Tensor): Tensor[] {
  const [count, width] = matrix.shape;
  return matrix.split(0, new Array<number>(count).fill(1)).map((row) => row.reshape([width]));
}
