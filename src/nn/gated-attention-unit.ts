/**
 * The gated attention unit (Hua, Dai, Liu, Le 2022, section 2 and figure 2): one layer that combines attention and a
 * gated feed-forward network. All of it but the attention, for FLASH and FLASH-Quad, in training and in decoding.
 * Symbols are the paper's: d model width, e = 2d gated width, s width of the shared z, u, v, z, gamma, beta.
 */
import { constant, type Tensor } from "../graph/tensor.ts";
import { silu } from "./activations.ts";
import type { AttentionFunction } from "./attention-functions.ts";
import { linear, linearParameters, scaleAndShift, splitLinear, type WeightStart } from "./linear.ts";
import { NewTokens } from "./new-tokens.ts";
import { type NormKind, norm } from "./norm.ts";
import { type AngleTable, anglesOfPairs, type QueriesKeys, rope, ropeOfHeads } from "./positions.ts";
import type { Scope } from "./scope.ts";
import { type ShiftInputs, shiftTokens } from "./token-shift.ts";

export interface GatedUnitConfig {
  /** d */
  readonly width: number;
  /** e: width of the gate u and the values v. */
  readonly expanded: number;
  /** s: width of the shared representation z, and of queries and keys. */
  readonly shared: number;
  readonly norm: NormKind;
  /** Turns scores of the quadratic attention into weights; default: relu2. */
  readonly attentionFunction?: AttentionFunction;
  /** false: the unit has no gate u, and its output is W_o (A v); default: true. */
  readonly gate?: boolean;
  /** Whether half of the normalised features come from the token before; default: false. */
  readonly tokenShift?: boolean;
  /** Where gamma starts: at 1, or at normal(0, 0.02), as in the paper's code; default: ones. */
  readonly gamma?: (typeof gammaNames)[number] | undefined;
  /** Where the map back into the residual stream starts; default: normal. */
  readonly outputMaps?: WeightStart | undefined;
}

export const gammaNames = ["ones", "normal"] as const;

/** Initial values of gamma. */
export function initialGamma(name: (typeof gammaNames)[number] = "ones") {
  return name === "ones" ? { constant: 1 } : { normal: 0.02 };
}

interface UnitInputs extends ShiftInputs {
  /** RoPE angles of whole windows, [T, half] or [B, T, half]; or a few new tokens, with their own; half at most s / 2. */
  readonly tokens: AngleTable | NewTokens;
  /** One for each pair of queries and keys: multiplies the queries, by way of their gamma and beta. */
  readonly scales: readonly number[];
  /** Further vectors [s] to be rotated to the positions of the new tokens, as queries and keys are. */
  readonly rotated?: readonly Tensor[];
}

interface GatedUnit {
  /** Queries (scaled) and keys, rotated, [B, T, s] each: a pair for each scale. */
  readonly pairs: readonly QueriesKeys[];
  /** The shared representation that they are made from, [B, T, s]. */
  readonly z: Tensor;
  /** [B, T, s] for each of the further vectors. */
  readonly rotated: readonly Tensor[];
  /** [B, T, e] */
  readonly v: Tensor;
  /** [B, T, d / 2]: with token shift, the features that the token after each one takes over. */
  readonly forNext: Tensor | undefined;
  /** y [B, T, d] from the result of the attention, [B, T, e]: x + W_o (u * attended). */
  output(attended: Tensor): Tensor;
}

/** What comes before the attention and, as `output`, after it; x [B, T, d]. */
export function gatedUnit(scope: Scope, x: Tensor, config: GatedUnitConfig, inputs: UnitInputs): GatedUnit {
  const { width: d, expanded: e, shared: s, gate = true, tokenShift = false } = config;
  const normal = norm(scope.at("norm"), x, config.norm);
  const { shifted, forNext } = tokenShift ? shiftTokens(normal, inputs) : { shifted: normal, forNext: undefined };
  const widths = gate ? [e, e, s] : [e, s]; // u, v and z, or v and z
  const map = linearParameters(scope.at("hidden"), d, widths);
  const mapped = splitLinear(shifted, map, widths, silu);
  const [v, z] = mapped.slice(-2);
  return {
    ...queriesAndKeys(scope.at("heads"), z, { ...inputs, gamma: config.gamma }),
    z,
    v,
    forNext,
    output: (attended) =>
      x.add(linear(scope.at("out"), gate ? mapped[0].mul(attended) : attended, d, config.outputMaps)),
  };
}

/**
 * The cheap maps that turn the one z [B, T, s] into every query and key: per-dimension scale gamma and offset beta [H,
 * s], then RoPE. In one go for a few new tokens, and wherever the number of operators matters more than passes over memory.
 */
function queriesAndKeys(
  scope: Scope,
  z: Tensor,
  { tokens, scales, rotated = [], gamma: start }: UnitInputs & Pick<GatedUnitConfig, "gamma">,
): Pick<GatedUnit, "pairs" | "rotated"> {
  const s = z.shape[z.rank - 1];
  const factors = scales.flatMap((scale) => [scale, 1]);
  const H = factors.length;
  const gammas = scope.parameter("gamma", [H, s], initialGamma(start));
  const betas = scope.parameter("beta", [H, s], { constant: 0 });
  const oneByOne = (rotations: AngleTable) => {
    const [gamma, beta] = [gammas, betas].map((t) =>
      t
        .split(0, new Array<number>(H).fill(1))
        .map((row, h) => (factors[h] === 1 ? row.reshape([s]) : row.reshape([s]).mul(factors[h]))),
    );
    return gamma.map((row, h) => rope(scaleAndShift(z, row, beta[h]), rotations));
  };
  const sideBySide = (rotations: AngleTable) => {
    const [B, T] = z.shape;
    const scale = constant(Float32Array.from(factors), [H, 1]);
    const [gamma, beta] = [gammas, betas].map((t) => t.mul(scale).reshape([H * s]));
    const repeated = z
      .reshape([B, T, 1, s])
      .expand([B, T, H, s])
      .reshape([B, T, H * s]);
    const all = ropeOfHeads(scaleAndShift(repeated, gamma, beta), rotations); // [B, T, H s]
    return all.split(-1, new Array<number>(H).fill(s));
  };
  const atOnce = (newTokens: NewTokens) => {
    const all = newTokens.eachToken(z).mul(gammas).add(betas); // [B …, T, H, s]; [B …, H, s] for one token
    const more = rotated.map((vector) => vector.expand([...all.shape.slice(0, -2), 1, s]));
    const each = newTokens
      .rotate(all.concat(more, -2), [...factors, ...more.map(() => 1)])
      .split(-2, new Array<number>(H + more.length).fill(1));
    return each.map((head) => head.reshape(z.shape));
  };
  const ofWindow = scope.fewest === "operators" ? sideBySide : oneByOne;
  const heads = tokens instanceof NewTokens ? atOnce(tokens) : ofWindow(anglesOfPairs(tokens, s / 2));
  const pairs = scales.map((_, i) => ({ q: heads[2 * i], k: heads[2 * i + 1] }));
  return { pairs, rotated: heads.slice(H) };
}
