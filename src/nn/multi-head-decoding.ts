/**
 * The Transformer block for a few new tokens after a state: the recurrent form of every multi-head attention. What is
 * remembered is rows (keys and values that a softmax looks at) and carried arrays (running sums and maxima). New rows and
 * new carried arrays leave the graph for the host to store. Maps of one input stay apart here, where training joins them:
 * with one token, reading the weights once is all the cost there is.
 * Symbols: P new tokens, n remembered rows, d, H heads of width w. All heads are [1, H, tokens, w].
 */
import type { Tensor } from "../graph/tensor.ts";
import { ratio } from "./favor-attention.ts";
import { gelu } from "./feed-forward.ts";
import { linear, timesTransposed } from "./linear.ts";
import { affineHeads } from "./mixed-chunk-softmax-attention.ts";
import { attentionOut, splitHeads } from "./multi-head.ts";
import { norm } from "./norm.ts";
import { type AngleTable, rope } from "./positions.ts";
import type { Scope } from "./scope.ts";
import { futureHidden, hiddenWhereMasked, tokenPositions } from "./visibility.ts";

export interface RememberedRows {
  /** [1, H, n, w]; rows that do not count are finite. */
  readonly keys: Tensor;
  /** [1, H, n, w] */
  readonly values: Tensor;
  /** [n]: 0 for rows that count, -1e30 for the others. */
  readonly written: Tensor;
}

/** What an attention found, [1, H, P, w], and what is to be stored. */
export interface Found {
  readonly found: Tensor;
  /** Keys and values [1, H, P, w] of the new tokens. */
  readonly rows?: readonly [keys: Tensor, values: Tensor];
  readonly carried?: Readonly<Record<string, Tensor>>;
}

export interface BlockStepConfig {
  /** Hidden width of the feed-forward network. */
  readonly ffn: number;
  /** Whether it is GEGLU. */
  readonly gated: boolean;
}

/** x [1, P, d] -> y [1, P, d] and what the attention stores; `attention` gets the block's scope and the normalised input. */
export function transformerBlockStep<F extends Found>(
  scope: Scope,
  x: Tensor,
  { ffn, gated }: BlockStepConfig,
  attention: (scope: Scope, normal: Tensor) => F,
): F & { readonly y: Tensor } {
  const result = attention(scope, norm(scope.at("norm1"), x, "layer"));
  const attended = x.add(attentionOut(scope, result.found));
  const normal = norm(scope.at("norm2"), attended, "layer");
  const up = gelu(linear(scope.at("up"), normal, ffn));
  const hidden = gated ? up.mul(linear(scope.at("gate"), normal, ffn)) : up;
  return { ...result, y: attended.add(linear(scope.at("down"), hidden, x.shape[2])) };
}

export interface StepInputs {
  readonly heads: number;
  /** RoPE of the new tokens, [P, w / 2]. */
  readonly rotations?: AngleTable | undefined;
}

/** Softmax attention over the remembered rows and the new tokens: a key/value cache. x [1, P, d]. */
export function softmaxStep(scope: Scope, x: Tensor, inputs: StepInputs, memory: RememberedRows): Found {
  const { q, k, v } = queryKeyValue(scope, x, inputs);
  const scaled = q.mul(1 / Math.sqrt(q.shape[3]));
  return { found: attend(scaled, k, v, memory), rows: [k, v] };
}

/**
 * Combiner: the remembered rows are those of the open block and the summaries of finished ones. queryPeak [1, H, 1, w] is
 * the element-wise maximum of the open block's queries, of which the summary value is made when the block is full; `real`
 * [P] is 1 for tokens, 0 for padding.
 */
export function combinerStep(
  scope: Scope,
  x: Tensor,
  inputs: StepInputs,
  memory: RememberedRows,
  { queryPeak: peak, real }: { readonly queryPeak: Tensor; readonly real: Tensor },
): Found {
  const { q, k, v } = queryKeyValue(scope, x, inputs);
  const scaled = q.mul(1 / Math.sqrt(q.shape[3]));
  const largest = scaled.add(hiddenWhereMasked(real).reshape([-1, 1])).maximum([2]); // [1, H, 1, w]
  return { found: attend(scaled, k, v, memory), rows: [k, v], carried: { queryPeak: peak.max(largest) } };
}

/**
 * MC-TFM++: the remembered rows are those of the open chunk of `chunk` tokens, `done` [1, H, w, w] is the sum of lkᵀ v over
 * finished chunks, `sums` that of the open one.
 */
export function mixedChunkSoftmaxStep(
  scope: Scope,
  x: Tensor,
  { heads, chunk, rotations }: StepInputs & { readonly chunk: number; readonly rotations: AngleTable },
  memory: RememberedRows,
  { sums, done, real }: { readonly sums: Tensor; readonly done: Tensor; readonly real: Tensor },
): Found {
  const d = x.shape[2];
  const [q, k, v] = ["query", "key", "value"].map((name) => linear(scope.at(name), x, d));
  const scales = [1 / Math.sqrt(d / heads), 1, 1 / chunk, 1];
  const [qq, qk, lq, lk] = affineHeads(scope.at("heads"), [q, k, q, k], heads, scales).map((t) =>
    rope(splitHeads(t, heads), rotations),
  );
  const values = splitHeads(v, heads);
  const added = lk
    .mul(real.reshape([-1, 1]))
    .swapLast()
    .matmul(values); // [1, H, w, w]
  return {
    found: attend(qq, qk, values, memory).add(lq.matmul(done)),
    rows: [qk, values],
    carried: { sums: sums.add(added) },
  };
}

/**
 * Performer: nothing is remembered but sums [1, H, m, w + 1], of phi(k) values and in the last column of phi(k), both times
 * e^(-peak), and peak [1, H, 1, 1], the largest exponent so far. A larger one rescales the sums, which cancels in the
 * ratio, so that they stay finite. `done` and `donePeak` are the same of all tokens before the open span: to one sum of
 * everything a late token would add little but rounding. features [m, w].
 */
export function favorStep(
  scope: Scope,
  x: Tensor,
  inputs: StepInputs & { readonly features: Tensor },
  { sums, peak, done, donePeak, real }: Readonly<Record<"sums" | "peak" | "done" | "donePeak" | "real", Tensor>>,
): Found {
  const { q, k, v } = queryKeyValue(scope, x, inputs);
  const [, H, P, w] = v.shape;
  const omega = inputs.features.mul(w ** -0.25).swapLast(); // [w, m]
  const s = q.matmul(omega);
  const phiQ = s.sub(s.maximum([-1])).exp(); // [1, H, P, m]
  const halfSquare = k
    .mul(k)
    .sum([-1])
    .mul(0.5 / Math.sqrt(w)); // [1, H, P, 1]
  const exponents = k
    .matmul(omega)
    .sub(halfSquare)
    .add(hiddenWhereMasked(real).reshape([P, 1])); // [1, H, P, m]
  const newPeak = peak.max(exponents.maximum([-2, -1])); // [1, H, 1, 1]
  const phiK = exponents.sub(newPeak).exp(); // [1, H, P, m]: 0 for padding
  const values = v.concat([v.constant(1).expand([1, H, P, 1])], -1); // [1, H, P, w + 1]
  const kept = sums.mul(peak.sub(newPeak).exp()); // [1, H, m, w + 1]
  const before = phiQ.matmul(done).mul(donePeak.sub(newPeak).exp()); // [1, H, P, w + 1]
  const own = timesTransposed(phiQ, phiK); // [1, H, P, P]
  const ordered = P === 1 ? own : own.mul(futureHidden(tokenPositions(P)).exp());
  return {
    found: ratio(before.add(phiQ.matmul(kept)).add(ordered.matmul(values))),
    carried: { sums: kept.add(phiK.swapLast().matmul(values)), peak: newPeak },
  };
}

/** q, k, v [1, H, P, w], q and k turned where there are rotations. */
function queryKeyValue(scope: Scope, x: Tensor, { heads, rotations }: StepInputs) {
  const [q, k, v] = ["query", "key", "value"].map((name) => splitHeads(linear(scope.at(name), x, x.shape[2]), heads));
  return rotations ? { q: rope(q, rotations), k: rope(k, rotations), v } : { q, k, v };
}

/** One softmax over the remembered rows and, in their order, the new tokens: q (scaled), k, v [1, H, P, w] -> [1, H, P, w]. */
function attend(q: Tensor, k: Tensor, v: Tensor, { keys, values, written }: RememberedRows): Tensor {
  const [P, n] = [q.shape[2], keys.shape[2]];
  const past = timesTransposed(q, keys).add(written); // [1, H, P, n]
  const own = timesTransposed(q, k); // [1, H, P, P]
  const scores = past.concat([P === 1 ? own : own.add(futureHidden(tokenPositions(P)))], -1);
  const [remembered, fresh] = scores.softmax().split(-1, [n, P]);
  return remembered.matmul(values).add(fresh.matmul(v));
}
