/**
 * The causal gated attention unit for a few new tokens after a state: the recurrent form of FLASH (paper, section 3.3)
 * and of FLASH-Quad. Both are attention over the span of tokens that is still open (the current chunk, of C; for
 * FLASH-Quad the whole text, of n), FLASH with a linear term over the sum of what is finished. New rows leave the graph for
 * the host to store, so that a step moves kilobytes, not the state. Symbols: P new tokens, n the span, s, e, u, v, z.
 */
import type { Tensor } from "../graph/tensor.ts";
import { silu } from "./activations.ts";
import { weightsOf } from "./attention-functions.ts";
import type { GatedUnitConfig } from "./gated-attention-unit.ts";
import { linear, timesTransposed } from "./linear.ts";
import { norm } from "./norm.ts";
import { toeplitz } from "./positions.ts";
import type { Scope } from "./scope.ts";
import { shiftTokens } from "./token-shift.ts";

/** Rotations of all H queries and keys, [H P, s] each, head by head, the queries' already scaled. */
export interface HeadRotation {
  /** cosines, twice side by side */
  readonly cos: Tensor;
  /** sines, negative in the first half */
  readonly sin: Tensor;
}

/** What new tokens are given of the tokens before them. */
export interface OpenSpan {
  /** What is read in one product: [n, e] values of the open span, [s, e] the sum of lkᵀ v over finished chunks, or both. */
  readonly memory: Tensor;
  /** Quadratic attention to the open span; undefined where there is none. */
  readonly quadratic?: QuadraticSpan | undefined;
  /** [1, d / 2]: what the first token takes over from the one before, with token shift. */
  readonly before?: Tensor | undefined;
}

export interface QuadraticSpan {
  /** [n, s]: quadratic keys of the open span; rows not yet written are finite. */
  readonly keys: Tensor;
  /** [n]: 0 for rows that are written, -1e30 for the others. */
  readonly written: Tensor;
  /** [P + n - 1]: relative bias from the last row to the first, so that bias[p, j] = bias[j - p + P - 1]. */
  readonly bias: Tensor;
  /** [2 P - 1]: the same among the new tokens, -1e30 for the future. */
  readonly ownBias: Tensor;
}

/**
 * x [P, d] -> y [P, d] and the rows to store, side by side those that there are: quadratic key [P, s], linear key [P, s],
 * value [P, e], what the next token takes over [P, d / 2].
 */
export function gatedUnitStep(
  scope: Scope,
  x: Tensor,
  config: GatedUnitConfig,
  rotation: HeadRotation,
  { memory, quadratic, before }: OpenSpan,
): { y: Tensor; rows: Tensor } {
  const [P, d] = x.shape;
  const H = rotation.cos.shape[0] / P;
  const { expanded: e, shared: s, gate = true } = config;
  const widths = gate ? [e, e, s] : [e, s];
  const normal = norm(scope.at("norm"), x, config.norm);
  const { shifted, own } = before ? shiftRows(before, normal) : { shifted: normal, own: undefined };
  const total = widths.reduce((sum, width) => sum + width);
  // One product with the whole matrix: with few rows, reading the weights once is all the cost there is.
  const parts = silu(linear(scope.at("hidden"), shifted, total)).split(1, widths);
  const [v, z] = parts.slice(-2);
  const heads = rotatedHeads(scope.at("heads"), z, rotation).split(0, new Array<number>(H).fill(P)); // [P, s] each
  const [lq, lk] = quadratic ? heads.slice(2) : heads;

  const attended = quadratic
    ? mixedAttention(config, { qq: heads[0], qk: heads[1], lq, v }, quadratic, memory)
    : lq.matmul(memory);
  const y = x.add(linear(scope.at("out"), gate ? parts[0].mul(attended) : attended, d));
  const [first, ...others] = [...(quadratic ? [heads[1]] : []), ...(lk ? [lk] : []), v, ...(own ? [own] : [])];
  return { y, rows: first.concat(others, 1) };
}

function shiftRows(before: Tensor, x: Tensor): { shifted: Tensor; own: Tensor } {
  const withBatch = (t: Tensor) => t.reshape([1, ...t.shape]);
  const { shifted, own } = shiftTokens(withBatch(x), { before: withBatch(before) });
  return { shifted: shifted.reshape(x.shape), own: own.reshape(own.shape.slice(1)) };
}

/** Attention to the open span and among the new tokens, with the linear term where there is a linear query: [P, e]. */
function mixedAttention(
  { attentionFunction = "relu2" }: GatedUnitConfig,
  { qq, qk, lq, v }: { qq: Tensor; qk: Tensor; lq: Tensor | undefined; v: Tensor },
  { keys, written, bias, ownBias }: QuadraticSpan,
  memory: Tensor,
): Tensor {
  const [P] = qq.shape;
  const [n] = keys.shape;
  const past = timesTransposed(qq, keys)
    .add(toeplitz(bias, P, n))
    .add(written); // [P, n]
  const fresh = timesTransposed(qq, qk).add(toeplitz(ownBias, P)); // [P, P]
  const [a, own] = weightsOf(attentionFunction, past.concat([fresh], 1)).split(1, [n, P]);
  return (lq ? a.concat([lq], 1) : a).matmul(memory).add(own.matmul(v));
}

/** The H maps z gamma + beta, rotated: z [P, s] -> [H P, s]. */
function rotatedHeads(scope: Scope, z: Tensor, { cos, sin }: HeadRotation): Tensor {
  const [P, s] = z.shape;
  const H = cos.shape[0] / P;
  const perHead = (t: Tensor) => (P === 1 ? t : t.reshape([H, 1, s])); // one token needs no axis of its own
  const gamma = perHead(scope.parameter("gamma", [H, s], { constant: 1 }));
  const beta = perHead(scope.parameter("beta", [H, s], { constant: 0 }));
  const head = z
    .mul(gamma)
    .add(beta)
    .reshape([H * P, s]);
  const [first, second] = head.split(1, [s / 2, s / 2]);
  return head.mul(cos).add(second.concat([first], 1).mul(sin));
}

/** The sum of finished chunks with one more: done [s, e] + lkᵀ v from linear keys lk [C, s] and values v [C, e]. */
export function withChunk(done: Tensor, lk: Tensor, v: Tensor): Tensor {
  return done.add(lk.swapLast().matmul(v));
}
