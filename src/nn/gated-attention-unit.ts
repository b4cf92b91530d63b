/**
 * The gated attention unit (Hua, Dai, Liu, Le 2022, section 2 and figure 2): one layer that is attention and gated
 * feed-forward at once. Everything but the attention, for FLASH and FLASH-Quad, in training and in decoding.
 * Symbols are the paper's: d model width, e = 2d gated width, s width of the shared z, u, v, z, gamma, beta.
 */
import type { Tensor } from "../graph/tensor.ts";
import { silu } from "./activations.ts";
import type { AttentionFunction } from "./attention-functions.ts";
import { linear, linearParameters, scaleAndShift, splitLinear } from "./linear.ts";
import type { QueriesKeys } from "./mixed-chunk-attention.ts";
import { NewTokens } from "./new-tokens.ts";
import { type NormKind, norm } from "./norm.ts";
import { type AngleTable, rope } from "./positions.ts";
import type { Scope } from "./scope.ts";
import { type ShiftInputs, shiftTokens } from "./token-shift.ts";

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

interface UnitInputs extends ShiftInputs {
  /** RoPE of whole windows, [T, s / 2] or [B, T, s / 2]; or a few new tokens. */
  readonly tokens: AngleTable | NewTokens;
  /** What the queries of each pair of queries and keys are multiplied by, at no cost to activations. */
  readonly scales: readonly number[];
  /** Vectors [s] that are turned to the positions of new tokens as queries and keys are. */
  readonly beside?: readonly Tensor[];
}

interface GatedUnit {
  /** Queries (scaled) and keys, rotated, [B, T, s] each: a pair for each scale. */
  readonly pairs: readonly QueriesKeys[];
  /** [B, T, s] of each vector that was given beside them. */
  readonly beside: readonly Tensor[];
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
  const normal = norm(scope.at("norm"), x, config.norm);
  const { shifted, own } = tokenShift ? shiftTokens(normal, inputs) : { shifted: normal, own: undefined };
  const widths = gate ? [e, e, s] : [e, s]; // u, v and z, or v and z
  const map = linearParameters(scope.at("hidden"), d, gate ? 2 * e + s : e + s);
  const parts = splitLinear(shifted, map, widths, silu);
  const [v, z] = parts.slice(-2);
  return {
    ...queriesAndKeys(scope.at("heads"), z, inputs),
    v,
    own,
    output: (attended) => x.add(linear(scope.at("out"), gate ? parts[0].mul(attended) : attended, d)),
  };
}

/**
 * The cheap maps that turn the one z [B, T, s] into every query and key: per-dimension scale gamma and offset beta
 * [H, s], then RoPE. Of a few new tokens all at once, since then each operator counts and passes over memory do not.
 */
function queriesAndKeys(
  scope: Scope,
  z: Tensor,
  { tokens, scales, beside = [] }: UnitInputs,
): Pick<GatedUnit, "pairs" | "beside"> {
  const s = z.shape[z.rank - 1];
  const factors = scales.flatMap((scale) => [scale, 1]);
  const H = factors.length;
  const gammas = scope.parameter("gamma", [H, s], { constant: 1 });
  const betas = scope.parameter("beta", [H, s], { constant: 0 });
  const apart = (rotations: AngleTable) => {
    const [gamma, beta] = [gammas, betas].map((t) =>
      t
        .split(0, new Array<number>(H).fill(1))
        .map((row, h) => (factors[h] === 1 ? row.reshape([s]) : row.reshape([s]).mul(factors[h]))),
    );
    return gamma.map((own, h) => rope(scaleAndShift(z, own, beta[h]), rotations));
  };
  const together = (newTokens: NewTokens) => {
    const all = newTokens.eachToken(z).mul(gammas).add(betas); // [B …, T, H, s], of one token [B …, H, s]
    const more = beside.map((vector) => vector.expand([...all.shape.slice(0, -2), 1, s]));
    const turned = newTokens.turned(all.concat(more, -2), [...factors, ...more.map(() => 1)]);
    const each = turned.split(-2, new Array<number>(H + more.length).fill(1));
    return each.map((head) => head.reshape(z.shape));
  };
  const heads = tokens instanceof NewTokens ? together(tokens) : apart(tokens);
  const pairs = scales.map((_, i) => ({ q: heads[2 * i], k: heads[2 * i + 1] }));
  return { pairs, beside: heads.slice(H) };
}
