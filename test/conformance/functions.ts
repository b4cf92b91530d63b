/** Small compositions of the kind that models are made of, for gradient rules together and for whole graphs on engines. */
import { type Tensor, withGradient } from "../../src/graph/tensor.ts";
import type { TestFunction } from "../support/differences.ts";
import { booleans, floats, integers, nonzeros, positives } from "./case.ts";

function centre(x: Tensor): Tensor {
  return x.sub(x.mean([-1]));
}

function layerNorm(x: Tensor, gamma: Tensor, beta: Tensor): Tensor {
  const centred = centre(x);
  return centred
    .mul(centred.mul(centred).mean([-1]).add(1e-3).sqrt().reciprocal())
    .mul(gamma)
    .add(beta);
}

function logSoftmax(x: Tensor): Tensor {
  const shifted = x.sub(x.maximum([-1]));
  return shifted.sub(shifted.exp().sum([-1]).log());
}

/** x sigma(x), its gradient told: sigma (1 + x (1 - sigma)). */
function silu(x: Tensor): Tensor {
  const gate = x.sigmoid();
  return withGradient(x.mul(gate), [x], (g) => [g.mul(gate.add(x.mul(gate.sub(gate.mul(gate)))))]);
}

/** Pairs of halves rotated by angles. */
function rotate(x: Tensor, angles: Tensor): Tensor {
  const half = x.shape[x.rank - 1] / 2;
  const [left, right] = x.split(-1, [half, half]);
  const [sin, cos] = [angles.sin(), angles.cos()];
  return left
    .mul(cos)
    .sub(right.mul(sin))
    .concat([right.mul(cos).add(left.mul(sin))], -1);
}

export const functions: readonly TestFunction[] = [
  {
    name: "layer norm",
    inputs: { x: floats([2, 3, 5]), gamma: floats([5], "gamma"), beta: floats([5], "beta") },
    build: ({ x, gamma, beta }) => [layerNorm(x, gamma, beta)],
  },
  {
    name: "softmax attention",
    inputs: { q: floats([2, 3, 4], "q"), k: floats([2, 3, 4], "k"), v: floats([2, 3, 2], "v"), mask: booleans([3, 3]) },
    build: ({ q, k, v, mask }) => {
      const scores = q.matmul(k.swapLast()).mul(0.5);
      return [mask.where(scores, scores.constant(-1e30)).softmax().matmul(v)];
    },
  },
  {
    name: "squared-relu gated unit",
    inputs: {
      x: floats([2, 4, 3], "x"),
      up: floats([3, 5], "up"),
      gate: floats([3, 5], "gate"),
      scale: floats([2, 3], "scale"),
      down: floats([5, 3], "down"),
    },
    build: ({ x, up, gate, scale, down }) => {
      const [q, k] = scale.split(0, [1, 1]).map((row) => x.mul(row.reshape([3])));
      const scores = q.matmul(k.swapLast()).div(4).relu();
      const attended = scores.mul(scores).matmul(silu(x.matmul(up)));
      return [x.add(silu(x.matmul(gate)).mul(attended).matmul(down))];
    },
  },
  {
    name: "linear attention by running sums",
    inputs: { q: floats([2, 4, 3], "q"), k: floats([2, 4, 3], "k"), v: floats([2, 4, 2], "v") },
    build: ({ q, k, v }) => {
      const outer = k.reshape([2, 4, 3, 1]).matmul(v.reshape([2, 4, 1, 2]));
      const before = outer.cumsum(1, { exclusive: true });
      return [q.reshape([2, 4, 1, 3]).matmul(before).reshape([2, 4, 2])];
    },
  },
  {
    name: "tied embedding and cross-entropy",
    inputs: { table: floats([5, 3]), ids: integers([2, 4], 0, 4, "ids"), targets: integers([8, 1], 0, 4, "targets") },
    build: ({ table, ids, targets }) => {
      const x = table.gather(ids).reshape([8, 3]).tanh();
      return [logSoftmax(x.matmul(table.swapLast())).gatherElements(1, targets).mean([0, 1]).neg()];
    },
  },
  {
    name: "rotary positions",
    inputs: { x: floats([2, 3, 4], "x"), angles: floats([3, 2], "angles") },
    build: ({ x, angles }) => [rotate(x, angles)],
  },
  {
    name: "gelu",
    inputs: { x: floats([3, 4]) },
    build: ({ x }) => [x.mul(x.mul(Math.SQRT1_2).erf().add(1)).mul(0.5)],
  },
  {
    name: "broadcasts of every kind",
    inputs: {
      a: floats([3, 1], "a"),
      b: nonzeros([4], "b"),
      c: positives([], "c"),
      d: nonzeros([2, 1, 4], "d"),
      e: floats([1, 3, 1], "e"),
    },
    build: ({ a, b, c, d, e }) => [a.add(b).mul(c.log()).div(d).sub(e.max(a)).min(b.mul(3))],
  },
  {
    name: "cut, padded, joined and turned",
    inputs: { x: floats([3, 4], "x"), y: floats([2, 4], "y") },
    build: ({ x, y }) => {
      const joined = x.slice(0, 1, 3).concat([y, x], 0).transpose([1, 0]);
      return [joined.pad(1, 1, 2).mul(joined.sum([0, 1])), ...y.split(1, [1, 3])];
    },
  },
  {
    name: "one tensor used many times",
    inputs: { x: floats([2, 3]) },
    build: ({ x }) => [x.mul(x).mul(x).add(x.sin().mul(x)).sub(x), x.matmul(x.swapLast())],
  },
  {
    name: "scattered and gathered",
    inputs: { x: floats([4, 2], "x"), at: integers([6, 2], 0, 3, "at"), updates: floats([6, 2], "updates") },
    build: ({ x, at, updates }) => {
      const y = x.scatterAdd(0, at, updates.mul(updates));
      return [y.mul(y), y.gatherElements(0, at).mul(updates)];
    },
  },
];
