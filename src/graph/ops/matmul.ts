/** Matrix product over the last two axes, with broadcasting of the axes before them. */
import { broadcastShapes, sizeOf } from "../../base/shape.ts";
import { expectCount, expectDType, fail, like, type NoAttributes, type Operator } from "../operator.ts";

export const matmul = {
  // y = a b: da = g bᵀ, db = aᵀ g; a product of many rows with one matrix sums db over all rows in a single matmul
  MatMul: {
    infer(inputs) {
      expectCount(inputs, 2);
      expectDType(inputs[0], "float32");
      expectDType(inputs[1], "float32");
      const [a, b] = inputs.map((input) => input.shape);
      if (a.length < 2 || b.length < 2) fail("expected two or more axes on both sides");
      if (a[a.length - 1] !== b[b.length - 2]) fail("inner sizes differ");
      const batch = broadcastShapes(a.slice(0, -2), b.slice(0, -2)) ?? fail("leading axes do not broadcast");
      return [like(inputs[0], [...batch, a[a.length - 2], b[b.length - 1]])];
    },
    gradient: ({ inputs: [a, b], gradients: [g] }) => {
      const da = g.matmul(b.swapLast());
      if (b.rank > 2) return [da, a.swapLast().matmul(g)];
      const rows = (t: typeof a) => t.reshape([sizeOf(t.shape.slice(0, -1)), t.shape[t.rank - 1]]);
      return [da, rows(a).swapLast().matmul(rows(g))];
    },
    // a product [m, k] [k, n]: 2 m k n
    traits: { flops: ([{ shape }], [output]) => 2 * sizeOf(output.shape) * shape[shape.length - 1] },
  } satisfies Operator<NoAttributes>,
};
