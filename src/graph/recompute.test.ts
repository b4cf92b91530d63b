/** Recomputed parts of a graph: the same values and gradients, also nested and one after another; computed twice. */
import { describe, expect, it } from "vitest";
import { interpret } from "../../test/reference/interpreter.ts";
import { gradients } from "./gradients.ts";
import { print, program } from "./program.ts";
import { recomputed, recomputedInOrder } from "./recompute.ts";
import { input, type Tensor } from "./tensor.ts";

const x = input("x", [3, 4]);
const w = input("w", [4, 4]);
const b = input("b", [4]);
const values = {
  x: Float32Array.from({ length: 12 }, (_, i) => Math.sin(i)),
  w: Float32Array.from({ length: 16 }, (_, i) => Math.cos(3 * i)),
  b: Float32Array.from({ length: 4 }, (_, i) => i / 4),
};

/** Two maps, the second of them again a piece of its own when `wrap` recomputes. */
function network(wrap: (inputs: readonly Tensor[], build: (inputs: readonly Tensor[]) => Tensor) => Tensor): Tensor {
  return wrap([x], ([outer]) => {
    const h = outer.matmul(w).tanh();
    return wrap([h, outer], ([inner, skip]) => inner.matmul(w).add(b).sigmoid().mul(skip)).tanh();
  });
}

const whole = (y: Tensor) => {
  const loss = y.mul(y).sum([0, 1]);
  const [dx, dw, db] = gradients(loss, [x, w, b]);
  return program("test", { y, dx, dw, db });
};
const plain = whole(network((inputs, build) => build(inputs)));

function expectSame(actual: ReturnType<typeof whole>): void {
  const [left, right] = [actual, plain].map((p) => interpret(p, values));
  for (const name of ["y", "dx", "dw", "db"]) {
    expect(Math.hypot(...left[name].data), name).toBeGreaterThan(0.1);
    for (const [i, value] of right[name].data.entries()) expect(left[name].data[i], name).toBeCloseTo(value, 12);
  }
}

const count = (p: ReturnType<typeof whole>, operator: string) => print(p).split(`= ${operator}(`).length - 1;

describe("recomputed", () => {
  it("has the values and gradients of the plain graph, a piece within a piece", () => {
    const nested = whole(network(recomputed));
    expectSame(nested);
    // Once forward, once for the outer piece; the inner one a third time.
    expect([count(plain, "Tanh"), count(nested, "Tanh")]).toEqual([2, 4]);
    expect([count(plain, "Sigmoid"), count(nested, "Sigmoid")]).toEqual([1, 3]);
  });

  it("computes again from values that wait for the gradient", () => {
    const y = recomputed([x], ([t]) => t.tanh().matmul(w));
    const [dx] = gradients(y, [x], input("g", y.shape));
    expect(print(program("waiting", { y, dx }))).toMatchInlineSnapshot(`
      "x: float32[3, 4]
      %0: float32[3, 4] = Tanh(x)
      w: float32[4, 4]
      %1: float32[3, 4] = MatMul(%0, w)
      %2: float32[3, 4] = Reshape(%1, shape=[3,4])
      g: float32[3, 4]
      %3: float32[4, 4] = Transpose(w, perm=[1,0])
      %4: float32[3, 4] = MatMul(g, %3)
      %5: float32[12] = Reshape(g, shape=[12])
      %6: float32[1] = Slice(%5, axis=0, start=0, end=1)
      %7: bool[1] = Less(%6, %6)
      %8: float32[3, 4] = Where(%7, x, x)
      %9: float32[3, 4] = Tanh(%8)
      %10: float32[3, 4] = Mul(%4, %9)
      %11: float32[3, 4] = Mul(%10, %9)
      %12: float32[3, 4] = Sub(%4, %11)
      return y = %2
      return dx = %12"
    `);
  });

  it("is kept out of what needs no gradient", () => {
    const y = recomputed([x], ([t]) => t.tanh().matmul(w));
    expect(print(program("forward", { y }))).not.toContain("Where");
  });
});

describe("recomputedInOrder", () => {
  it("has the values and gradients of the plain graph, where parts share inputs", () => {
    const parts = (t: Tensor) => [
      { inputs: [t, b], build: ([own, bias]: readonly Tensor[]) => own.matmul(w).add(bias).tanh() },
      { inputs: [b, t], build: ([bias, own]: readonly Tensor[]) => own.mul(bias).matmul(w).sigmoid() },
    ];
    const sum = ([first, second]: readonly Tensor[]) => first.add(second.mul(first));
    const direct = whole(sum(parts(x).map(({ inputs, build }) => build(inputs))));
    const inTurn = whole(sum(recomputedInOrder(parts(x))));
    const [left, right] = [inTurn, direct].map((p) => interpret(p, values));
    for (const name of ["y", "dx", "dw", "db"]) {
      for (const [i, value] of right[name].data.entries()) expect(left[name].data[i], name).toBeCloseTo(value, 12);
    }
  });

  it("gives gradients where only one part is used", () => {
    const [first] = recomputedInOrder([
      { inputs: [x], build: ([t]) => t.matmul(w).add(b).tanh() },
      { inputs: [x], build: ([t]) => t.mul(2).exp() },
    ]);
    const [left, right] = [whole(first), whole(x.matmul(w).add(b).tanh())].map((p) => interpret(p, values));
    for (const name of ["dx", "dw", "db"]) {
      for (const [i, value] of right[name].data.entries()) expect(left[name].data[i], name).toBeCloseTo(value, 12);
    }
  });
});
