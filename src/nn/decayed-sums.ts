/**
 * Sums over the chunks on one side of each chunk, in which a chunk counts less the more chunks lie between: linear in
 * the number of chunks G. Row r of x_h counts with exp(sum of log decays of row r of the chunks strictly between). Inside
 * blocks of K chunks by a running sum of x_h exp(-E_h), E_h being the sum of log decays from the block's beginning to
 * h, which is then off by a factor common to all h, exp(X_g); between blocks by products with [N, N] matrices of decays,
 * blocks of blocks where there are many. (The two levels are those of chunked gated linear attention, Yang et al. 2024.)
 * Symbols: B sequences, H heads, G chunks, s rows, n columns.
 */
import type { Tensor } from "../graph/tensor.ts";
import { neighbours, onOneSide, type Side } from "./documents.ts";

/** K. The largest factor is exp(-K log decay), for the fastest decay (1/16 a chunk) 2^64. */
const BLOCK = 16;
/** So many blocks are summed by one product. */
const MOST_AT_ONCE = 64;

export interface DecayedChunks {
  /** [B or 1, H or 1, G, s, 1]: log of the factor for crossing a chunk, at most 0. */
  readonly log: Tensor;
  readonly side: Side;
  /**
   * [B, G], contiguous and from 1 on: only the run of chunks counts whose labels are that of the neighbour on this side
   * (as in document-sums.ts). Undefined: all chunks count.
   */
  readonly labels?: Tensor | undefined;
}

/** Blocks of chunks, each with the decays up to it: [B or 1, H or 1, N, K, s, 1]. */
interface Blocks {
  readonly K: number;
  readonly N: number;
  /** From the near edge of the block to the chunk itself, inclusive. */
  readonly inclusive: Tensor;
  /** The same without the chunk's own. */
  readonly exclusive: Tensor;
  /** Of the whole block, [B or 1, H or 1, N, s, 1]. */
  readonly whole: Tensor;
}

function blocksOf({ log, side }: DecayedChunks, most: number): Blocks {
  const [B, H, G, s] = log.shape;
  const N = Math.ceil(G / most);
  const K = Math.ceil(G / N);
  const own = log.pad(2, 0, N * K - G).reshape([B, H, N, K, s, 1]);
  const inclusive = K === 1 ? own : own.cumsum(3, { reverse: side === "after" });
  const far = side === "before" ? inclusive.slice(3, K - 1, K) : inclusive.slice(3, 0, 1);
  return { K, N, inclusive, exclusive: inclusive.sub(own), whole: far.reshape([B, H, N, s, 1]) };
}

/** Factors by which chunk g's summands and its sum are off: exp(-E_g) and exp(X_g), [B or 1, H or 1, G, s, 1] each. */
export function decayFactors(chunks: DecayedChunks): { readonly summand: Tensor; readonly sum: Tensor } {
  const { shape } = chunks.log;
  const { K, N, inclusive, exclusive } = blocksOf(chunks, BLOCK);
  const ofChunks = (t: Tensor) =>
    t
      .reshape([shape[0], shape[1], N * K, shape[3], 1])
      .slice(2, 0, shape[2])
      .exp();
  return { summand: ofChunks(inclusive.neg()), sum: ofChunks(exclusive) };
}

interface Sums {
  /** [B, H, G, s, n]: for each chunk the sum over those on its side, to be multiplied by decayFactors().sum. */
  readonly sums: Tensor;
  /** With `before`: what stands behind the last chunk, exact. [B, H, s, n] */
  readonly after?: Tensor | undefined;
}

/**
 * x [B, H, G, s, n], or what broadcasts, already multiplied by decayFactors().summand. `before` [B, H, s, n] counts as a chunk before the
 * first one, of label 1; it needs side "before".
 */
export function decayedSums(given: Tensor, chunks: DecayedChunks, before?: Tensor): Sums {
  const { side, labels } = chunks;
  const x = before ? given.expand([...before.shape.slice(0, 2), ...given.shape.slice(2)]) : given;
  const { K, N, whole } = blocksOf(chunks, BLOCK);
  const [B, H, G, s, n] = x.shape;
  const blocks = x.pad(2, 0, N * K - G).reshape([B, H, N, K, s, n]);
  const runs = labels && runsOf(labels, { N, K, side });
  const inside = runs
    ? runs.inside.mul(onOneSide(K, side)).matmul(blocks.reshape([B, H, N, K, s * n])) // [B, H, N, K, s n]
    : K === 1
      ? blocks.mul(0) // nothing stands beside it, but its parameters stay in the graph
      : blocks.cumsum(3, { exclusive: true, reverse: side === "after" });
  const result = (sums: Tensor) => sums.reshape([sums.shape[0], H, N * K, s, n]).slice(2, 0, G);
  if (N === 1 && !before) return { sums: result(inside) };
  const ofBlock = runs ? runs.toEdge.matmul(blocks.reshape([B, H, N, K, s * n])) : blocks.sum([3]);
  const totals = ofBlock.reshape([-1, H, N, s, n]).mul(whole.exp());
  const surrounded = surroundedBy(totals, whole, runs?.edge, before);
  const between = acrossBlocks(surrounded.x, { side, log: surrounded.log, labels: surrounded.labels });
  const first = before ? 1 : 0;
  const outside = between.slice(2, first, first + N).reshape([-1, H, N, 1, s, n]);
  const reached = runs ? outside.mul(runs.reached) : outside;
  return {
    sums: result(inside.reshape([-1, H, N, K, s, n]).add(reached)),
    after: before && between.slice(2, N + 1, N + 2).reshape([-1, H, s, n]),
  };
}

/** With `before`: the totals of the blocks between it and an empty block, at which the sum of all before it is found. */
function surroundedBy(x: Tensor, log: Tensor, labels: Tensor | undefined, before: Tensor | undefined) {
  if (!before) return { x, log, labels };
  const [B, H, N, s, n] = x.shape;
  return {
    x: before.reshape([B, H, 1, s, n]).concat([x], 2).pad(2, 0, 1),
    log: log.pad(2, 1, 1),
    labels: labels
      ?.sub(1)
      .pad(1, 1, 0)
      .add(1)
      .concat([labels.slice(1, N - 1, N)], 1),
  };
}

/** The same sums for few blocks, exact: x [B, H, N, s, n], log decays [B or 1, H or 1, N, s, 1], labels [B, N]. */
function acrossBlocks(x: Tensor, chunks: DecayedChunks): Tensor {
  const { side, labels } = chunks;
  const { K, N, inclusive, exclusive, whole } = blocksOf(chunks, MOST_AT_ONCE);
  const [B, H, G, s, n] = x.shape;
  const rows = (t: Tensor) => t.reshape([t.shape[0], t.shape[1], N, K, s]).transpose([0, 1, 2, 4, 3]); // [.., N, s, K]
  const [E, X] = [rows(inclusive), rows(exclusive)];
  const blocks = x
    .pad(2, 0, N * K - G)
    .reshape([B, H, N, K, s, n])
    .transpose([0, 1, 2, 4, 3, 5]); // [B, H, N, s, K, n]
  const column = (t: Tensor) => t.reshape([...t.shape, 1]);
  const row = (t: Tensor) => t.reshape([...t.shape.slice(0, -1), 1, K]);
  const runs = labels && runsOf(labels, { N, K, side });
  const ofRows = (t: Tensor) => t.reshape([-1, 1, N, 1, ...t.shape.slice(-2)]);
  // Where the exponent is above 0 the chunk is not on this side.
  const decays = column(X).sub(row(E)).min(0).exp().mul(onOneSide(K, side)); // [.., N, s, K, K]
  const inside = (runs ? decays.mul(ofRows(runs.inside)) : decays).matmul(blocks); // [B, H, N, s, K, n]
  const result = (sums: Tensor) =>
    sums
      .transpose([0, 1, 2, 4, 3, 5])
      .reshape([-1, H, N * K, s, n])
      .slice(2, 0, G);
  if (N === 1) return result(inside);
  const end = whole.reshape([whole.shape[0], whole.shape[1], N, s, 1]);
  const toEdge = row(end.sub(E).exp()); // [.., N, s, 1, K]
  const totals = (runs ? toEdge.mul(ofRows(runs.toEdge)) : toEdge).matmul(blocks).reshape([-1, H, N, s, n]);
  const outside = acrossBlocks(totals, { side, log: whole, labels: runs?.edge }).reshape([-1, H, N, s, 1, n]);
  const factor = column(X.exp()); // [.., N, s, K, 1]
  const reaching = runs ? factor.mul(runs.reached.reshape([-1, 1, N, 1, K, 1])) : factor;
  return result(inside.add(reaching.mul(outside)));
}

interface Runs {
  /** [B, 1, N, K, K]: 1 where a chunk's label is the one that chunk g wants, that of its neighbour. */
  readonly inside: Tensor;
  /** [B, 1, N, 1, K]: 1 for the chunks of the run at the block's far edge. */
  readonly toEdge: Tensor;
  /** [B, N]: the label of that run. */
  readonly edge: Tensor;
  /** [B, 1, N, K, 1, 1]: 1 for chunks that the run at the near edge of the block reaches. */
  readonly reached: Tensor;
}

/** labels [B, G] in N blocks of K. */
function runsOf(labels: Tensor, { N, K, side }: { readonly N: number; readonly K: number; readonly side: Side }): Runs {
  const [B, G] = labels.shape;
  const last = labels.slice(1, G - 1, G);
  const padded = N * K === G ? labels : labels.concat([last.expand([B, N * K - G])], 1);
  const [own, wanted] = [padded.reshape([B, 1, N, 1, K]), neighbours(padded, side).reshape([B, 1, N, K, 1])];
  const [near, far] = side === "before" ? [0, K - 1] : [K - 1, 0];
  const edge = own.slice(4, far, far + 1); // [B, 1, N, 1, 1]
  return {
    inside: wanted.equal(own).cast("float32"),
    toEdge: edge.equal(own).cast("float32"),
    edge: edge.reshape([B, N]),
    reached: wanted
      .equal(wanted.slice(3, near, near + 1))
      .cast("float32")
      .reshape([B, 1, N, K, 1, 1]),
  };
}
