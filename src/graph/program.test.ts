/**
 * Programs: what they collect, what `verify` refuses, and printed gradient graphs, which show a changed rule at a
 * glance.
 */
import { describe, expect, it } from "vitest";
import { gradients } from "./gradients.ts";
import { type Program, print, program, verify } from "./program.ts";
import { constant, input, type OperatorNode, type Tensor } from "./tensor.ts";

describe("program", () => {
  it("lists inputs in order of first use and nodes sources first, each once", () => {
    const [a, b, unused] = [input("a", [2]), input("b", [2]), input("unused", [2])];
    const sum = b.add(a);
    const graph = program("p", { y: sum.mul(sum), z: sum });
    expect([...graph.inputs.keys()]).toEqual(["b", "a"]);
    expect([...graph.outputs.keys()]).toEqual(["y", "z"]);
    expect(graph.nodes.length).toBe(4);
    expect(graph.nodes).not.toContain(unused.node);
    verify(graph);
  });

  it("takes inputs and constants as outputs", () => {
    const x = input("x", [2]);
    const graph = program("p", { x, five: x.constant(5), again: x });
    verify(graph);
    expect(print(graph)).toMatchInlineSnapshot(`
      "x: float32[2]
      return x = x
      return five = 5
      return again = x"
    `);
  });

  it("refuses two inputs of one name", () => {
    const y = input("x", [2]).add(input("x", [2]));
    expect(() => program("p", { y })).toThrow("program p: two inputs are named x");
  });
});

describe("verify", () => {
  const x = input("x", [2, 3]);
  const y = x.exp();
  const { nodes, inputs } = program("p", { y });

  function of(changes: Partial<Program>): Program {
    return { name: "p", inputs, outputs: new Map([["y", y]]), nodes, ...changes };
  }

  it("accepts what was built", () => {
    expect(() => verify(of({}))).not.toThrow();
  });

  it("refuses a node before its source", () => {
    expect(() => verify(of({ nodes: [...nodes].reverse() }))).toThrow(
      "program p: x float32[2, 3] is used before it is computed",
    );
  });

  it("refuses an output that no node computes", () => {
    expect(() => verify(of({ nodes: [x.node] }))).toThrow("program p: output y is not computed");
  });

  it("refuses a type that the operator's rule does not give", () => {
    const outputs = [input("of another shape", [3, 2])];
    const node: OperatorNode = { kind: "operator", name: "Exp", inputs: [x], attributes: {}, outputs };
    expect(() => verify(of({ nodes: [x.node, node] }))).toThrow(
      "program p: Exp says float32[3, 2], its rule says float32[2, 3]",
    );
  });

  it("refuses inputs that no longer fit", () => {
    const narrow = input("narrow", [2]);
    const outputs: Tensor[] = [];
    const node: OperatorNode = { kind: "operator", name: "MatMul", inputs: [x, narrow], attributes: {}, outputs };
    expect(() => verify(of({ nodes: [x.node, narrow.node, node] }))).toThrow(
      "MatMul(x float32[2, 3], narrow float32[2]): expected two or more axes on both sides",
    );
  });
});

describe("print", () => {
  it("shows attributes, constants and several outputs", () => {
    const x = input("x", [2, 4]);
    const [a, b] = x.split(1, [1, 3]);
    const table = constant(Float32Array.of(1, 2, 3), [3]);
    expect(print(program("p", { y: a.mul(b).mul(table).sum([1]).div(3) }))).toMatchInlineSnapshot(`
      "x: float32[2, 4]
      %0: float32[2, 1], %1: float32[2, 3] = Split(x, axis=1, sizes=[1,3])
      %2: float32[2, 3] = Mul(%0, %1)
      %3: float32[3] = constant
      %4: float32[2, 3] = Mul(%2, %3)
      %5: float32[2, 1] = ReduceSum(%4, axes=[1])
      %6: float32[2, 1] = Div(%5, 3)
      return y = %6"
    `);
  });
});

describe("printed gradients", () => {
  it("of a linear layer with bias", () => {
    const [x, w, b] = [input("x", [2, 5, 3]), input("w", [3, 4]), input("b", [4])];
    const [dx, dw, db] = gradients(x.matmul(w).add(b), [x, w, b], input("g", [2, 5, 4]));
    expect(print(program("linear", { dx, dw, db }))).toMatchInlineSnapshot(`
      "g: float32[2, 5, 4]
      w: float32[3, 4]
      %0: float32[4, 3] = Transpose(w, perm=[1,0])
      %1: float32[2, 5, 3] = MatMul(g, %0)
      x: float32[2, 5, 3]
      %2: float32[10, 3] = Reshape(x, shape=[10,3])
      %3: float32[3, 10] = Transpose(%2, perm=[1,0])
      %4: float32[10, 4] = Reshape(g, shape=[10,4])
      %5: float32[3, 4] = MatMul(%3, %4)
      %6: float32[1, 1, 4] = ReduceSum(g, axes=[0,1])
      %7: float32[4] = Reshape(%6, shape=[4])
      return dx = %1
      return dw = %5
      return db = %7"
    `);
  });

  it("of squared relu", () => {
    const x = input("x", [2, 3]);
    const positive = x.relu();
    const [dx] = gradients(positive.mul(positive), [x], input("g", [2, 3]));
    expect(print(program("relu2", { dx }))).toMatchInlineSnapshot(`
      "x: float32[2, 3]
      %0: float32[2, 3] = Relu(x)
      %1: bool[2, 3] = Less(0, %0)
      g: float32[2, 3]
      %2: float32[2, 3] = Mul(g, %0)
      %3: float32[2, 3] = Mul(%2, 2)
      %4: float32[2, 3] = Where(%1, %3, 0)
      return dx = %4"
    `);
  });

  it("of scale norm", () => {
    const [x, gamma] = [input("x", [2, 4]), input("gamma", [])];
    const norm = x.mul(x).mean([-1]).sqrt();
    const [dx, dgamma] = gradients(x.div(norm).mul(gamma), [x, gamma], input("g", [2, 4]));
    expect(print(program("scale norm", { dx, dgamma }))).toMatchInlineSnapshot(`
      "g: float32[2, 4]
      gamma: float32[]
      %0: float32[2, 4] = Mul(g, gamma)
      x: float32[2, 4]
      %1: float32[2, 4] = Mul(x, x)
      %2: float32[2, 1] = ReduceMean(%1, axes=[1])
      %3: float32[2, 1] = Sqrt(%2)
      %4: float32[2, 4] = Div(%0, %3)
      %5: float32[2, 4] = Div(x, %3)
      %6: float32[2, 4] = Mul(%4, %5)
      %7: float32[2, 4] = Neg(%6)
      %8: float32[2, 1] = ReduceSum(%7, axes=[1])
      %9: float32[2, 1] = Div(%8, %3)
      %10: float32[2, 1] = Mul(%9, 0.5)
      %11: float32[2, 1] = Div(%10, 4)
      %12: float32[2, 4] = Expand(%11, shape=[2,4])
      %13: float32[2, 4] = Mul(%12, x)
      %14: float32[2, 4] = Mul(%13, 2)
      %15: float32[2, 4] = Add(%4, %14)
      %16: float32[2, 4] = Mul(g, %5)
      %17: float32[1, 1] = ReduceSum(%16, axes=[0,1])
      %18: float32[] = Reshape(%17, shape=[])
      return dx = %15
      return dgamma = %18"
    `);
  });
});
