/**
 * The attention of the gated units for a few new tokens: f(q kᵀ + bias) v over the rows of the open span (the current
 * chunk of FLASH, the whole text of FLASH-Quad) and the new tokens themselves. Symbols: P new tokens, n rows.
 */
import { constant, type Tensor } from "../graph/tensor.ts";
import { type AttentionFunction, weightsOf } from "./attention-functions.ts";
import { timesTransposed } from "./linear.ts";
import type { NewTokens } from "./new-tokens.ts";
import { biasVectors, biasWeights, ROTARY_BIAS_FROM, withRotaryBias } from "./positions.ts";
import type { QueriesKeysValues } from "./query-blocks.ts";
import type { Scope } from "./scope.ts";
import { HIDDEN } from "./visibility.ts";

interface OpenSpan {
  /** [B, n, openKeyWidth] */
  readonly keys: Tensor;
  /** [B, n, e] */
  readonly values: Tensor;
}

interface SpanAttention {
  /** [B, P, e] */
  readonly attended: Tensor;
  /** The new rows of `keys`, [B, P, openKeyWidth]. */
  readonly keys: Tensor;
}

/** Width of the keys of a span of n tokens, with the factors of a rotary bias where it has one. */
export function openKeyWidth(n: number, s: number): number {
  return n < ROTARY_BIAS_FROM ? s : 2 * s;
}

/** The vectors of a rotary bias for n positions, to be rotated to those of the new tokens; none for a learned bias. */
export function openBiasVectors(scope: Scope, n: number, s: number): readonly Tensor[] {
  return n < ROTARY_BIAS_FROM ? [] : biasVectors(scope, s);
}

/** q (scaled), k and the rotated vectors of a rotary bias [B, P, s], v [B, P, e]; the scope of the bias. */
export function openSpanAttention(
  scope: Scope,
  { q, k, v, rotated }: QueriesKeysValues & { readonly rotated: readonly Tensor[] },
  { keys, values }: OpenSpan,
  tokens: NewTokens,
  kind: AttentionFunction,
): SpanAttention {
  const [n, P] = [keys, q].map(({ shape }) => shape[shape.length - 2]);
  const isRotary = rotated.length > 0;
  const biased = isRotary ? withRotaryBias({ q, k }, rotated) : { q, k };
  const learned = () => {
    const table = biasWeights(scope, n).concat([constant(Float32Array.of(HIDDEN), [1])], 0);
    return table.gather(tokens.distances(n, table.size - 1));
  };
  const added = isRotary ? tokens.hiddenInRows([{ kind: "open-rows", n }]) : learned();
  const weights = weightsOf(kind, timesTransposed(biased.q, keys, biased.k).add(added)); // [B …, P, n + P]
  const [past, fresh] = weights.split(-1, [n, P]);
  return { attended: past.matmul(values).add(fresh.matmul(v)), keys: biased.k };
}
