/** Definitions of matrix products, reductions, running sums and softmax. */
import { type Shape, sizeOf } from "../../src/base/shape.ts";
import {
  aroundAxis,
  broadcastStrides,
  broadcastTogether,
  type Definition,
  type Definitions,
  positions,
  stridesOf,
  type Value,
  zeros,
} from "./value.ts";

/** Reduced axes stay as size 1: each element is folded into the place where its reduced indices are 0. */
function reduction(start: number, fold: (sum: number, x: number) => number): Definition<{ axes: readonly number[] }> {
  return ([x], { axes }) => {
    const shape = x.shape.map((n, axis) => (axes.includes(axis) ? 1 : n));
    const strides = stridesOf(shape).map((stride, axis) => (axes.includes(axis) ? 0 : stride));
    const y = zeros(x.dtype, shape);
    y.data.fill(start);
    const into = positions(x.shape, strides);
    for (let i = 0; i < x.data.length; i++) y.data[into[i]] = fold(y.data[into[i]], x.data[i]);
    return [y];
  };
}

const sum = reduction(0, (total, x) => total + x);

export const reductions = {
  ReduceSum: sum,
  ReduceMean: (inputs, attributes) => {
    const [total] = sum(inputs, attributes);
    const count = sizeOf(attributes.axes.map((axis) => inputs[0].shape[axis]));
    return [{ ...total, data: total.data.map((x) => x / count) }];
  },
  ReduceMax: reduction(Number.NEGATIVE_INFINITY, Math.max),

  CumSum: ([x], { axis, exclusive, reverse }) => {
    const y = zeros(x.dtype, x.shape);
    const { outer, along, inner } = aroundAxis(x.shape, axis);
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < inner; i++) {
        let running = 0;
        for (let step = 0; step < along; step++) {
          const t = reverse === 1 ? along - 1 - step : step;
          const at = (o * along + t) * inner + i;
          if (exclusive === 1) y.data[at] = running;
          running += x.data[at];
          if (exclusive === 0) y.data[at] = running;
        }
      }
    }
    return [y];
  },

  Softmax: ([x], { axis }) => {
    const y = zeros(x.dtype, x.shape);
    const { outer, along, inner } = aroundAxis(x.shape, axis);
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < inner; i++) {
        const at = (t: number) => (o * along + t) * inner + i;
        let largest = Number.NEGATIVE_INFINITY;
        for (let t = 0; t < along; t++) largest = Math.max(largest, x.data[at(t)]);
        let total = 0;
        for (let t = 0; t < along; t++) total += Math.exp(x.data[at(t)] - largest);
        for (let t = 0; t < along; t++) y.data[at(t)] = Math.exp(x.data[at(t)] - largest) / total;
      }
    }
    return [y];
  },

  // y[…, i, j] = sum over l of a[…, i, l] b[…, l, j]
  MatMul: ([a, b]) => {
    const [m, k] = a.shape.slice(-2);
    const [, n] = b.shape.slice(-2);
    const batch = broadcastTogether([a.shape.slice(0, -2), b.shape.slice(0, -2)]);
    const y = zeros(a.dtype, [...batch, m, n]);
    const startsOfA = startsOfMatrices(a, batch);
    const startsOfB = startsOfMatrices(b, batch);
    for (let s = 0; s < startsOfA.length; s++) {
      for (let i = 0; i < m; i++) {
        const row = y.data.subarray((s * m + i) * n, (s * m + i + 1) * n);
        for (let l = 0; l < k; l++) {
          const factor = a.data[startsOfA[s] + i * k + l];
          const from = startsOfB[s] + l * n;
          for (let j = 0; j < n; j++) row[j] += factor * b.data[from + j];
        }
      }
    }
    return [y];
  },
} satisfies Partial<Definitions>;

/** Where each matrix of a batch begins, for every index of the broadcast batch. */
function startsOfMatrices({ shape }: Value, batch: Shape): Int32Array {
  const matrix = sizeOf(shape.slice(-2));
  const strides = broadcastStrides(shape.slice(0, -2), batch).map((stride) => stride * matrix);
  return positions(batch, strides);
}
