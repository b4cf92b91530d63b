/**
 * The gated attention unit (Hua, Dai, Liu, Le 2022, section 2 and figure 2): one layer that is attention and gated
 * feed-forward at once. Everything but the attention, for FLASH and FLASH-Quad, in training and in decoding.
 * Symbols are the paper's: d model width, e = 2d gated width, s width of the shared z, u, v, z, gamma, beta.
 */
import { constant, type Tensor } from "../graph/tensor.ts";
import { silu } from "./activations.ts";
import type { AttentionFunction } from "./attention-functions.ts";
import { hasFewRows, linear, linearParameters, linearParts, scaleAndShift } from "./linear.ts";
import type { QueriesKeys } from "./mixed-chunk-attention.ts";
import { type NormKind, norm } from "./norm.ts";
import { type AngleTable, rope } from "./positions.ts";
import type { Scope } from "./scope.ts";
import { type ShiftInputs, shiftTokens } from "./token-shift.ts";
import { besideHeads } from "./visibility.ts";

export interface GatedUnitConfig {
  /** d */
  readonly width: number;
  /** e: width of the gate u and the values v. */
  readonly expanded: number;
  /** s: width of the shared representation z, of queries and keys. */
  readonly shared: number;
  readonly norm: NormKind;
  /** What scores of the quadratic attention become; default: relu2. */
  readonly attentionFunction?: AttentionFunction;
  /** false: the unit has no gate u, and its output is W_o (A v); default: true. */
  readonly gate?: boolean;
  /** Whether half of the normalised features come from the token before; default: false. */
  readonly tokenShift?: boolean;
}

export interface UnitInputs extends ShiftInputs {
  readonly rotations: AngleTable;
  /** What the queries of each pair of queries and keys are multiplied by, at no cost to activations. */
  readonly scales: readonly number[];
}

export interface GatedUnit {
  /** Queries (scaled) and keys, rotated, [B, T, s] each: a pair for each scale. */
  readonly pairs: readonly QueriesKeys[];
  /** [B, T, e] */
  readonly v: Tensor;
  /** [B, T, d / 2]: with token shift, the features that each token has for the next. */
  readonly own: Tensor | undefined;
  /** y [B, T, d] of what was attended to, [B, T, e]: x + W_o (u * attended). */
  output(attended: Tensor): Tensor;
}

/** What comes before the attention and after it; x [B, T, d]. */
export function gatedUnit(scope: Scope, x: Tensor, config: GatedUnitConfig, inputs: UnitInputs): GatedUnit {
  const { width: d, expanded: e, shared: s, gate = true, tokenShift = false } = config;
  const { rotations, scales } = inputs;
  const normal = norm(scope.at("norm"), x, config.norm);
  const { shifted, own } = tokenShift ? shiftTokens(normal, inputs) : { shifted: normal, own: undefined };
  const widths = gate ? [e, e, s] : [e, s]; // u, v and z, or v and z
  const map = linearParameters(scope.at("hidden"), d, gate ? 2 * e + s : e + s);
  const parts = linearParts(shifted, map, widths, silu);
  const [v, z] = parts.slice(-2);
  return {
    pairs: queriesAndKeys(scope.at("heads"), z, rotations, scales),
    v,
    own,
    output: (attended) => x.add(linear(scope.at("out"), gate ? parts[0].mul(attended) : attended, d)),
  };
}

/**
 * The cheap maps that turn the one z [B, T, s] into every query and key: per-dimension scale gamma and offset beta
 * [H, s], then RoPE.
 */
function queriesAndKeys(scope: Scope, z: Tensor, rotations: AngleTable, scales: readonly number[]): QueriesKeys[] {
  const [B, T, s] = z.shape;
  const factors = scales.flatMap((scale) => [scale, 1]);
  const H = factors.length;
  const each = new Array<number>(H).fill(1);
  const gammas = scope.parameter("gamma", [H, s], { constant: 1 });
  const betas = scope.parameter("beta", [H, s], { constant: 0 });
  const together = () => {
    const [gamma, beta] = [gammas, betas].map((t) => t.mul(constant(Float32Array.from(factors), [H, 1])));
    const heads = z
      .reshape([B, 1, T, s])
      .mul(gamma.reshape([H, 1, s]))
      .add(beta.reshape([H, 1, s])); // [B, H, T, s]
    const turned = rope(heads, { cos: besideHeads(rotations.cos, 4), sin: besideHeads(rotations.sin, 4) });
    return turned.split(1, each).map((head) => head.reshape([B, T, s]));
  };
  const apart = () => {
    const [gamma, beta] = [gammas, betas].map((t) =>
      t.split(0, each).map((row, h) => (factors[h] === 1 ? row.reshape([s]) : row.reshape([s]).mul(factors[h]))),
    );
    return gamma.map((own, h) => rope(scaleAndShift(z, own, beta[h]), rotations));
  };
  const heads = hasFewRows(z) ? together() : apart();
  return scales.map((_, i) => ({ q: heads[2 * i], k: heads[2 * i + 1] }));
}
