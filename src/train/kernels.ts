/**
 * What a training step does to arrays of the host, as loops over a range of their elements, so that a range can be divided
 * among threads (host-loops.ts). Elements do not depend on each other, and a sum is over whole arrays: results are the
 * same bits however it is divided.
 */
export type LoopArray = Float32Array | Int32Array;

export interface Range {
  readonly from: number;
  readonly to: number;
}

/** The names are those of the object's fields, in the order in which another thread is told their values. */
export interface Kernel<A extends string = string, F extends string = string> {
  readonly arrays: readonly A[];
  readonly factors: readonly F[];
  /** Whether one thread has to do the whole range. Default: false. */
  readonly whole?: boolean;
  run(arrays: Readonly<Record<A, LoopArray>>, factors: Readonly<Record<F, number>>, range: Range): number | undefined;
}

const kernel = <A extends string, F extends string>(made: Kernel<A, F>) => made;

/** AdamW of parameter p with gradient g and moments m and v; optimizer.ts has the formula and the factors. */
const adamw = kernel({
  arrays: ["p", "g", "m", "v"],
  factors: ["scale", "beta1", "beta2", "rate", "epsilon", "keep"],
  run({ p, g, m, v }, { scale, beta1, beta2, rate, epsilon, keep }, { from, to }) {
    const fresh1 = (1 - beta1) * scale;
    const fresh2 = (1 - beta2) * scale * scale;
    for (let i = from; i < to; i++) {
      const gi = g[i];
      const mi = beta1 * m[i] + fresh1 * gi;
      const vi = beta2 * v[i] + fresh2 * (gi * gi);
      m[i] = mi;
      v[i] = vi;
      p[i] = keep * p[i] - (rate * mi) / (Math.sqrt(vi) + epsilon);
    }
    return undefined;
  },
});

/** m = momentum m + scale g, and Nesterov's direction, scale g + momentum m. */
const momentum = kernel({
  arrays: ["direction", "m", "g"],
  factors: ["scale", "momentum"],
  run({ direction, m, g }, { scale, momentum }, { from, to }) {
    for (let i = from; i < to; i++) {
      const gi = scale * g[i];
      const mi = momentum * m[i] + gi;
      m[i] = mi;
      direction[i] = gi + momentum * mi;
    }
    return undefined;
  },
});

/** p = keep p - rate update. */
const move = kernel({
  arrays: ["p", "update"],
  factors: ["keep", "rate"],
  run({ p, update }, { keep, rate }, { from, to }) {
    for (let i = from; i < to; i++) p[i] = keep * p[i] - rate * update[i];
    return undefined;
  },
});

/** mean = keep mean + (1 - keep) p. */
const average = kernel({
  arrays: ["mean", "p"],
  factors: ["keep"],
  run({ mean, p }, { keep }, { from, to }) {
    for (let i = from; i < to; i++) mean[i] += (1 - keep) * (p[i] - mean[i]);
    return undefined;
  },
});

/** sum = sum + x. */
const add = kernel({
  arrays: ["sum", "x"],
  factors: [],
  run({ sum, x }, _, { from, to }) {
    for (let i = from; i < to; i++) sum[i] += x[i];
    return undefined;
  },
});

/** sum = x. */
const copy = kernel({
  arrays: ["sum", "x"],
  factors: [],
  run({ sum, x }, _, { from, to }) {
    sum.set(x.subarray(from, to), from);
    return undefined;
  },
});

/** Sum of squares in float64. Four partial sums, so that additions need not wait for each other. */
const squares = kernel({
  arrays: ["x"],
  factors: [],
  whole: true,
  run({ x }) {
    const end = x.length - (x.length % 4);
    let [a, b, c, d] = [0, 0, 0, 0];
    for (let i = 0; i < end; i += 4) {
      a += x[i] * x[i];
      b += x[i + 1] * x[i + 1];
      c += x[i + 2] * x[i + 2];
      d += x[i + 3] * x[i + 3];
    }
    for (let i = end; i < x.length; i++) a += x[i] * x[i];
    return a + b + (c + d);
  },
});

/**
 * Adds rows [tokens, width] to those of a table's gradient [V, width] that indices [tokens] name, in the order of the
 * tokens. The range is one of columns.
 */
const addRows = kernel({
  arrays: ["gradient", "rows", "indices"],
  factors: ["width"],
  run({ gradient, rows, indices }, { width }, { from, to }) {
    for (let t = 0; t < indices.length; t++) {
      const source = t * width;
      const target = indices[t] * width;
      for (let i = from; i < to; i++) gradient[target + i] += rows[source + i];
    }
    return undefined;
  },
});

export const kernels = { adamw, momentum, move, average, add, copy, squares, addRows };
export type KernelName = keyof typeof kernels;
export const kernelNames = Object.keys(kernels) as KernelName[];
