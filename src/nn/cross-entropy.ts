/**
 * Cross-entropy of the next token under logits = x tableᵀ + bias, in slices of tokens, so that the full matrix of
 * logits [tokens, vocabulary] never exists. The gradient is written by hand: softmax minus one-hot, with every
 * per-token factor applied on the narrow side of the two products.
 */
import { neverAfter } from "../graph/recompute.ts";
import { concat, type Tensor, withGradient } from "../graph/tensor.ts";
import type { Fewest, LowRank } from "./scope.ts";

/** What a language model ends with; the logits are finalStates tableᵀ + bias. */
export interface ModelOutput {
  /** [B, T, d]: the last hidden states, after the final norm. */
  readonly finalStates: Tensor;
  /** [V, d]: the embedding, where it is tied, or a map of its own. */
  readonly table: Tensor;
  /** The adapter that is in the table, where it has one. */
  readonly adapter?: LowRank | undefined;
  /** [V] */
  readonly bias: Tensor;
  /** The state of the layers after the window, by `state.LAYER.NAME` [B, …]; where the window began with one. */
  readonly state?: Readonly<Record<string, Tensor>> | undefined;
}

interface CrossEntropyInputs extends Pick<ModelOutput, "table" | "adapter" | "bias"> {
  /** [N, d]: the final hidden states. */
  readonly x: Tensor;
  /** [N] int32 */
  readonly targets: Tensor;
  /** [N]: the weight of each token in the sum. */
  readonly weights: Tensor;
  /** Default: passes. With few operators, slices are as large as a device can bind. */
  readonly fewest?: Fewest | undefined;
}

/**
 * Logits of one slice: so many bytes stay in cache. Of fewer rows, adding each slice's gradient to that of the table, a
 * pass over [d, V], would cost too much beside the products (docs/decisions/0034), up to a size that every device can bind.
 */
const SLICE = { bytes: 16 << 20, fewestRows: 512, mostBytes: 64 << 20 } as const;

/** Rows of logits [N, V] that are computed at a time. */
function sliceRows(N: number, V: number, fewest: Fewest): number {
  const rowsOf = (bytes: number) => Math.floor(bytes / (4 * V));
  const inCache = Math.max(rowsOf(SLICE.bytes), Math.min(SLICE.fewestRows, rowsOf(SLICE.mostBytes)));
  const wanted = fewest === "operators" ? rowsOf(SLICE.mostBytes) : inCache;
  return Math.max(1, Math.min(N, wanted));
}

interface CrossEntropy {
  /** [1]: the weighted sum of -log p(target), in nats. */
  readonly sum: Tensor;
  /** [N]: each token's own loss. */
  readonly perToken: Tensor;
  /** [N]: 1 where no token has a larger logit than the target, else 0. */
  readonly correct: Tensor;
}

export function crossEntropy({
  x,
  table,
  adapter,
  bias,
  targets,
  weights,
  fewest = "passes",
}: CrossEntropyInputs): CrossEntropy {
  const [N, d] = x.shape;
  const [V] = table.shape;
  const sliceLength = sliceRows(N, V, fewest);
  const sizes: number[] = [];
  for (let start = 0; start < N; start += sliceLength) sizes.push(Math.min(sliceLength, N - start));
  const xs = x.split(0, sizes);
  const ts = targets.reshape([N, 1]).split(0, sizes);
  const ws = weights.reshape([N, 1]).split(0, sizes);

  const transposed = table.swapLast();
  const slices = sizes.map((_, i) => {
    const logits = xs[i].matmul(transposed).add(bias); // [n, V]
    const p = logits.softmax();
    // log sum exp = max - log(max p): exact, and the largest p cannot underflow.
    const largest = logits.maximum([1]); // [n, 1]
    const logSum = largest.sub(p.maximum([1]).log());
    const chosen = logits.gatherElements(1, ts[i]);
    return { p, losses: logSum.sub(chosen), correct: chosen.equal(largest).cast("float32") };
  });
  const columns = [slices.map((slice) => slice.losses), slices.map((slice) => slice.correct)];
  const [losses, correct] = columns.map((column) => concat(column, 0)); // [N, 1] each
  const { parameters, gradientsOf, whole } = tableGradients(table, adapter);
  const weighted = losses.mul(weights.reshape([N, 1])).sum([0, 1]);
  const sum = withGradient(weighted, [x, ...parameters, bias], (g, wanted) => {
    let sums: readonly Tensor[] = []; // of the table and the bias
    let finished: readonly Tensor[] = [];
    const dx = slices.map(({ p, losses }, i) => {
      // The scattered -1 depends on the loss of the slice and on the slice before: one [n, V] exists at a time.
      const minusOne = neverAfter([losses, ...finished])
        .cast("float32")
        .sub(1)
        .expand(losses.shape);
      const dLogits = p.scatterAdd(1, ts[i], minusOne); // [n, V], weights still to be applied
      const factor = ws[i].mul(g); // [n, 1]
      const parts = [...gradientsOf(xs[i].mul(factor), dLogits), factor.swapLast().matmul(dLogits)]; // bias: [1, V]
      sums = parts.map((part, k) => sums[k]?.add(part) ?? part);
      const dX = dLogits.matmul(table).mul(factor); // [n, d]
      finished = [dX, ...sums].filter((_, k) => wanted[k]);
      return dX;
    });
    return [concat(dx, 0).reshape([N, d]), ...whole(sums), sums[sums.length - 1].reshape([V])];
  });
  return { sum: sum.reshape([1]), perToken: losses.reshape([N]), correct: correct.reshape([N]) };
}

interface TableGradients {
  /** What the table's gradient goes to: itself, or its adapter. */
  readonly parameters: readonly Tensor[];
  /** Of one slice, from its x, weights applied [n, d], and the gradients of its logits [n, V]; then to be added up. */
  gradientsOf(x: Tensor, dLogits: Tensor): Tensor[];
  /** The sums, each in the shape of its parameter. */
  whole(sums: readonly Tensor[]): Tensor[];
}

function tableGradients(table: Tensor, adapter: LowRank | undefined): TableGradients {
  if (adapter === undefined) {
    return {
      parameters: [table],
      gradientsOf: (x, dLogits) => [x.swapLast().matmul(dLogits)], // [d, V]: the transposed table's
      whole: ([dTable]) => [dTable.swapLast()],
    };
  }
  // The table's would be G = dLogitsᵀ x; a's is s G bᵀ and b's s aᵀ G.
  const { a, b, scale } = adapter;
  return {
    parameters: [a, b],
    gradientsOf: (x, dLogits) => [
      x.matmul(b.swapLast()).swapLast().matmul(dLogits), // [rank, V]
      dLogits.matmul(a).swapLast().matmul(x), // [rank, d]
    ],
    whole: ([dA, dB]) => [dA.swapLast().mul(scale), dB.mul(scale)],
  };
}
