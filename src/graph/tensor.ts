/**
 * Builds the graph: symbolic tensors and the nodes that they refer to (their types are in symbolic.ts). Nothing is
 * computed here. A wrong shape throws at the line that causes it.
 */
import { type DType, type HostArray, hostArray, type TensorType } from "../base/dtype.ts";
import { LonghandError } from "../base/errors.ts";
import { normalizeAxis, type Shape, sameShape, showShape, sizeOf } from "../base/shape.ts";
import { fail, showType } from "./operator.ts";
import { type AttributesOf, type OperatorName, operators } from "./ops/index.ts";
import type { Attributes, ConstantNode, CustomGradient, InputNode, Node, OperatorNode, Tensor } from "./symbolic.ts";

export type { ConstantNode, CustomGradient, InputNode, Node, OperatorNode, Tensor } from "./symbolic.ts";

/** The tensors that a node is computed from. */
export function sources(node: Node): readonly Tensor[] {
  return node.kind === "operator" ? node.inputs : [];
}

class GraphTensor implements Tensor {
  readonly node: Node;
  readonly dtype: DType;
  readonly shape: Shape;
  constructor(node: Node, type: TensorType) {
    this.node = node;
    this.dtype = type.dtype;
    this.shape = type.shape;
  }

  get rank(): number {
    return this.shape.length;
  }

  get size(): number {
    return sizeOf(this.shape);
  }

  add(other: Tensor | number): Tensor {
    return apply("Add", [this, this.lift(other)], {});
  }
  sub(other: Tensor | number): Tensor {
    return apply("Sub", [this, this.lift(other)], {});
  }
  mul(other: Tensor | number): Tensor {
    return apply("Mul", [this, this.lift(other)], {});
  }
  div(other: Tensor | number): Tensor {
    return apply("Div", [this, this.lift(other)], {});
  }
  max(other: Tensor | number): Tensor {
    return apply("Max", [this, this.lift(other)], {});
  }
  min(other: Tensor | number): Tensor {
    return apply("Min", [this, this.lift(other)], {});
  }
  neg(): Tensor {
    return apply("Neg", [this], {});
  }
  exp(): Tensor {
    return apply("Exp", [this], {});
  }
  log(): Tensor {
    return apply("Log", [this], {});
  }
  sqrt(): Tensor {
    return apply("Sqrt", [this], {});
  }
  reciprocal(): Tensor {
    return apply("Reciprocal", [this], {});
  }
  sigmoid(): Tensor {
    return apply("Sigmoid", [this], {});
  }
  tanh(): Tensor {
    return apply("Tanh", [this], {});
  }
  relu(): Tensor {
    return apply("Relu", [this], {});
  }
  erf(): Tensor {
    return apply("Erf", [this], {});
  }
  sin(): Tensor {
    return apply("Sin", [this], {});
  }
  cos(): Tensor {
    return apply("Cos", [this], {});
  }

  less(other: Tensor | number): Tensor {
    return apply("Less", [this, this.lift(other)], {});
  }
  equal(other: Tensor | number): Tensor {
    return apply("Equal", [this, this.lift(other)], {});
  }
  and(other: Tensor): Tensor {
    return apply("And", [this, other], {});
  }
  not(): Tensor {
    return apply("Not", [this], {});
  }
  where(yes: Tensor, no: Tensor): Tensor {
    return apply("Where", [this, yes, no], {});
  }
  cast(to: DType): Tensor {
    return to === this.dtype ? this : apply("Cast", [this], { to });
  }

  matmul(other: Tensor): Tensor {
    return apply("MatMul", [this, other], {});
  }
  sum(axes: readonly number[]): Tensor {
    return axes.length === 0 ? this : apply("ReduceSum", [this], { axes: this.axes(axes) });
  }
  mean(axes: readonly number[]): Tensor {
    return axes.length === 0 ? this : apply("ReduceMean", [this], { axes: this.axes(axes) });
  }
  maximum(axes: readonly number[]): Tensor {
    return axes.length === 0 ? this : apply("ReduceMax", [this], { axes: this.axes(axes) });
  }
  cumsum(axis: number, options: { exclusive?: boolean; reverse?: boolean } = {}): Tensor {
    const { exclusive = false, reverse = false } = options;
    return apply("CumSum", [this], {
      axis: normalizeAxis(axis, this.rank),
      exclusive: Number(exclusive),
      reverse: Number(reverse),
    });
  }
  softmax(axis = -1): Tensor {
    return apply("Softmax", [this], { axis: normalizeAxis(axis, this.rank) });
  }

  reshape(shape: Shape): Tensor {
    const known = shape.reduce((product, n) => (n === -1 ? product : product * n), 1);
    const full = shape.map((n) => (n === -1 ? this.size / known : n));
    return sameShape(full, this.shape) ? this : apply("Reshape", [this], { shape: full });
  }
  transpose(perm: readonly number[]): Tensor {
    return perm.every((axis, i) => axis === i) ? this : apply("Transpose", [this], { perm });
  }
  swapLast(): Tensor {
    const perm = this.shape.map((_, i) => i);
    return this.transpose([...perm.slice(0, -2), this.rank - 1, this.rank - 2]);
  }
  concat(others: readonly Tensor[], axis: number): Tensor {
    return others.length === 0 ? this : apply("Concat", [this, ...others], { axis: normalizeAxis(axis, this.rank) });
  }
  split(axis: number, sizes: readonly number[]): readonly Tensor[] {
    return sizes.length === 1 ? [this] : applyAll("Split", [this], { axis: normalizeAxis(axis, this.rank), sizes });
  }
  slice(axis: number, start: number, end: number): Tensor {
    const normal = normalizeAxis(axis, this.rank);
    return start === 0 && end === this.shape[normal] ? this : apply("Slice", [this], { axis: normal, start, end });
  }
  pad(axis: number, before: number, after: number): Tensor {
    return before === 0 && after === 0
      ? this
      : apply("Pad", [this], { axis: normalizeAxis(axis, this.rank), before, after });
  }
  expand(shape: Shape): Tensor {
    return sameShape(shape, this.shape) ? this : apply("Expand", [this], { shape });
  }

  gather(indices: Tensor): Tensor {
    return apply("Gather", [this, indices], { axis: 0 });
  }
  gatherElements(axis: number, indices: Tensor): Tensor {
    return apply("GatherElements", [this, indices], { axis: normalizeAxis(axis, this.rank) });
  }
  scatterAdd(axis: number, indices: Tensor, updates: Tensor): Tensor {
    return apply("ScatterElements", [this, indices, updates], { axis: normalizeAxis(axis, this.rank) });
  }

  constant(value: number): Tensor {
    return scalar(value, this.dtype);
  }
  zeros(shape: Shape): Tensor {
    return this.constant(0).expand(shape);
  }

  toString(): string {
    return `${this.node.kind === "constant" ? "constant" : this.node.name} ${showType(this)}`;
  }

  private lift(value: Tensor | number): Tensor {
    return typeof value === "number" ? this.constant(value) : value;
  }
  private axes(axes: readonly number[]): number[] {
    return axes.map((axis) => normalizeAxis(axis, this.rank)).sort((a, b) => a - b);
  }
}

/** An input of the program, given at run time under `name`. */
export function input(name: string, shape: Shape, dtype: DType = "float32"): Tensor {
  for (const n of shape) {
    if (!Number.isInteger(n) || n < 0) {
      throw new LonghandError("graph", `input ${name}: expected non-negative integer sizes, got ${showShape(shape)}`);
    }
  }
  const outputs: Tensor[] = [];
  const node: InputNode = { kind: "input", name, outputs };
  outputs.push(new GraphTensor(node, { dtype, shape }));
  return outputs[0];
}

/** A fixed value. Large ones are not written into the ONNX model but passed to it at run time. */
export function constant(data: HostArray, shape: Shape): Tensor {
  if (data.length !== sizeOf(shape)) {
    throw new LonghandError(
      "graph",
      `constant: expected ${sizeOf(shape)} elements for ${showShape(shape)}, got ${data.length}`,
    );
  }
  const dtype: DType = data instanceof Float32Array ? "float32" : data instanceof Int32Array ? "int32" : "bool";
  const outputs: Tensor[] = [];
  const node: ConstantNode = { kind: "constant", data, outputs };
  outputs.push(new GraphTensor(node, { dtype, shape }));
  return outputs[0];
}

export function scalar(value: number, dtype: DType = "float32"): Tensor {
  const data = hostArray(dtype, 1);
  data[0] = value;
  return constant(data, []);
}

/**
 * A custom VJP: gives the gradient of `outputs` with respect to `inputs` instead of deriving it, for formulas whose
 * derived gradient is right but wasteful (SiLU, squared ReLU, cross-entropy). `rule` takes the gradient of every output
 * and returns one of exactly the shape of each input, or undefined for none.
 */
export function withGradients(
  outputs: readonly Tensor[],
  inputs: readonly Tensor[],
  rule: CustomGradient["rule"],
): readonly Tensor[] {
  const customGradient: CustomGradient = { outputs, inputs, rule };
  for (const output of outputs) {
    const { node } = output;
    if (node.kind !== "operator" || node.outputs.length !== 1 || node.customGradient || inputs.includes(output)) {
      throw new LonghandError("graph", `withGradient: expected the fresh single output of an operator, got ${output}`);
    }
    node.customGradient = customGradient;
  }
  return outputs;
}

/** Tensors concatenated along an axis. */
export function concat([first, ...others]: readonly Tensor[], axis: number): Tensor {
  return first.concat(others, axis);
}

/** A custom VJP of one output. */
export function withGradient(
  output: Tensor,
  inputs: readonly Tensor[],
  rule: (gradient: Tensor, wanted: readonly boolean[]) => readonly (Tensor | undefined)[],
): Tensor {
  return withGradients([output], inputs, ([gradient], wanted) => rule(gradient, wanted))[0];
}

/** Adds a node to the graph; errors name the operator and all input types. */
export function applyAll<N extends OperatorName>(
  name: N,
  inputs: readonly Tensor[],
  attributes: AttributesOf<N>,
): readonly Tensor[] {
  const outputs: Tensor[] = [];
  const node: OperatorNode = { kind: "operator", name, inputs, attributes: attributes as Attributes, outputs };
  for (const type of inferTypes(name, inputs, node.attributes)) outputs.push(new GraphTensor(node, type));
  return outputs;
}

function apply<N extends OperatorName>(name: N, inputs: readonly Tensor[], attributes: AttributesOf<N>): Tensor {
  return applyAll(name, inputs, attributes)[0];
}

/** The output types of an operator; errors name the operator, the types of its inputs, and inputs of the program. */
export function inferTypes(name: string, inputs: readonly Tensor[], attributes: Attributes): readonly TensorType[] {
  try {
    return operators[name].infer(inputs, attributes);
  } catch (error) {
    if (!(error instanceof LonghandError)) throw error;
    const shown = inputs.map((t) => (t.node.kind === "input" ? `${t.node.name} ${showType(t)}` : showType(t)));
    return fail(`${name}(${shown.join(", ")}): ${error.message}`);
  }
}
