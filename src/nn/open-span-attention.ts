/**
 * The attention of the gated units for a few new tokens: f(q kᵀ + bias) v over the rows of the open span (the current
 * chunk of FLASH, the whole text of FLASH-Quad) and the new tokens themselves. Symbols: P new tokens, n rows.
 */
import { constant, type Tensor } from "../graph/tensor.ts";
import { type AttentionFunction, weightsOf } from "./attention-functions.ts";
import { timesTransposed } from "./linear.ts";
import type { NewTokens } from "./new-tokens.ts";
import { biasVectors, biasWeights, ROTARY_BIAS_FROM } from "./positions.ts";
import { withRotaryBias } from "./quadratic-attention.ts";
import type { QueriesKeysValues } from "./query-blocks.ts";
import type { Scope } from "./scope.ts";
import { HIDDEN } from "./visibility.ts";

interface OpenSpan {
  /** [B, n, openKeyWidth] */
  readonly keys: Tensor;
  /** [B, n, e] */
  readonly values: Tensor;
}

interface FoundInSpan {
  /** [B, P, e] */
  readonly found: Tensor;
  /** The new rows of `keys`, [B, P, openKeyWidth]. */
  readonly keys: Tensor;
}

/** Width of the keys of a span of n tokens: the factors of a rotary bias lie beside them. */
export function openKeyWidth(n: number, s: number): number {
  return n < ROTARY_BIAS_FROM ? s : 2 * s;
}

/** The vectors of a rotary bias of n positions, to be turned to those of the new tokens; none below. */
export function openBiasVectors(scope: Scope, n: number, s: number): readonly Tensor[] {
  return n < ROTARY_BIAS_FROM ? [] : biasVectors(scope, s);
}

/**
 * q (scaled) and k [B, P, s], v [B, P, e], and the turned vectors of a rotary bias; any other bias has the given scope.
 */
export function openSpanAttention(
  scope: Scope,
  { q, k, v, beside }: QueriesKeysValues & { readonly beside: readonly Tensor[] },
  { keys, values }: OpenSpan,
  tokens: NewTokens,
  kind: AttentionFunction,
): FoundInSpan {
  const [n, P] = [keys, q].map(({ shape }) => shape[shape.length - 2]);
  const isRotary = beside.length > 0;
  const own = isRotary ? withRotaryBias({ q, k }, beside) : { q, k };
  const learned = () => {
    const table = biasWeights(scope, n).concat([constant(Float32Array.of(HIDDEN), [1])], 0);
    return table.gather(tokens.distances(n, table.size - 1));
  };
  const added = isRotary ? tokens.hiddenInSpan(n) : learned();
  const weights = weightsOf(kind, timesTransposed(own.q, keys, own.k).add(added)); // [B …, P, n + P]
  const [past, fresh] = weights.split(-1, [n, P]);
  return { found: past.matmul(values).add(fresh.matmul(v)), keys: own.k };
}
