/**
 * The causal gated attention unit for a few new tokens after a state: the recurrent form of FLASH (paper, section 3.3)
 * and of FLASH-Quad. Both are attention over the span of tokens that is still open (the current chunk, of C; for
 * FLASH-Quad the whole text, of n), FLASH with a linear term over the sum of what is finished. New rows leave the graph for
 * the host to store, so that a step moves kilobytes, not the state. Symbols: P new tokens, n the span, s, e, u, v, z.
 */
import type { Tensor } from "../graph/tensor.ts";
import { silu, squaredRelu } from "./activations.ts";
import type { GatedUnitConfig } from "./gated-attention-unit.ts";
import { linear } from "./linear.ts";
import { norm } from "./norm.ts";
import { toeplitz } from "./positions.ts";
import type { Scope } from "./scope.ts";

/** Rotations of all H queries and keys, [H P, s] each, head by head, the queries' already divided by the span. */
export interface HeadRotation {
  /** cosines, twice side by side */
  readonly cos: Tensor;
  /** sines, negative in the first half */
  readonly sin: Tensor;
}

export interface OpenSpan {
  /** [n, s]: quadratic keys of the open span; rows not yet written are finite. */
  readonly keys: Tensor;
  /** [n, e]: its values; for FLASH [n + s, e], followed by the sum of lkᵀ v over finished chunks. */
  readonly memory: Tensor;
  /** [n]: 0 for rows that are written, -1e30 for the others. */
  readonly written: Tensor;
  /** [P + n - 1]: relative bias from the last row to the first, so that bias[p, j] = bias[j - p + P - 1]. */
  readonly bias: Tensor;
  /** [2 P - 1]: the same among the new tokens, -1e30 for the future. */
  readonly ownBias: Tensor;
}

/** x [P, d] -> y [P, d] and the rows [P, H s / 2 + e] to store: quadratic key, (FLASH) linear key, value. */
export function gatedUnitStep(
  scope: Scope,
  x: Tensor,
  config: GatedUnitConfig,
  rotation: HeadRotation,
  span: OpenSpan,
): { y: Tensor; rows: Tensor } {
  const { expanded: e, shared: s } = config;
  const [P, d] = x.shape;
  const [n] = span.keys.shape;
  const H = rotation.cos.shape[0] / P;
  // One product with the whole matrix: with few rows, reading the weights once is all the cost there is.
  const hidden = silu(linear(scope.at("hidden"), norm(scope.at("norm"), x, config.norm), 2 * e + s));
  const [u, v, z] = hidden.split(1, [e, e, s]);
  const heads = rotatedHeads(scope.at("heads"), z, rotation);
  const [qq, qk, lq, lk] = heads.split(0, new Array<number>(H).fill(P)); // [P, s] each

  const a = squaredRelu(
    timesTransposed(qq, span.keys)
      .add(toeplitz(span.bias, P, n))
      .add(span.written),
  ); // [P, n]
  const own = squaredRelu(timesTransposed(qq, qk).add(toeplitz(span.ownBias, P))); // [P, P]
  const mixed = (lq ? a.concat([lq], 1) : a).matmul(span.memory).add(own.matmul(v)); // [P, e]
  const y = x.add(linear(scope.at("out"), u.mul(mixed), d));
  return { y, rows: qk.concat(lk ? [lk, v] : [v], 1) };
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

/**
 * x mᵀ for x [..., P, k], m [..., rows, k]: one row is taken as a column instead, since transposing m would cost a pass over
 * it.
 */
export function timesTransposed(x: Tensor, m: Tensor): Tensor {
  const outer = x.shape.slice(0, -2);
  const [P, k] = x.shape.slice(-2);
  const [rows] = m.shape.slice(-2);
  return P === 1 ? m.matmul(x.reshape([...outer, k, 1])).reshape([...outer, 1, rows]) : x.matmul(m.swapLast());
}
