/**
 * A conformance case: one operator, its attributes and its input values, as data. The same table runs over every engine
 * (operators.test.ts) and, where it is smooth, over the gradient rules (src/graph/gradients.test.ts).
 */
import type { HostTensor } from "../../src/base/dtype.ts";
import { randomKey, randomNormals, randomUint32 } from "../../src/base/random.ts";
import { type Shape, showShape, sizeOf } from "../../src/base/shape.ts";
import { type Attributes, showType } from "../../src/graph/operator.ts";
import type { AttributesOf, OperatorName } from "../../src/graph/ops/index.ts";
import { type Program, program } from "../../src/graph/program.ts";
import { applyAll, input, type Tensor } from "../../src/graph/tensor.ts";
import type { EngineName } from "./engines.ts";

export interface Case {
  readonly name: string;
  readonly operator: OperatorName;
  readonly attributes: Attributes;
  readonly inputs: readonly HostTensor[];
  /** Largest relative error; 0 for operators that only move, choose or compare. */
  readonly tolerance: number;
  /** False where the values sit on a kink (ties, zeros of relu), so that there is no derivative to compare with. */
  readonly smooth: boolean;
  /** Engines that cannot run it, each with the reason. */
  readonly skip?: Readonly<Partial<Record<EngineName, string>>>;
}

export interface CaseOptions {
  readonly exact?: boolean;
  readonly smooth?: boolean;
  readonly skip?: Case["skip"];
  /** What the values are, where the shapes do not tell. */
  readonly note?: string;
}

/** ReduceMax and Softmax refuse them, MatMul ends the process (ONNX Runtime 1.30); no model has any. */
const EMPTY = { webgpu: "its provider takes no empty tensors" };

export function operatorCase<N extends OperatorName>(
  operator: N,
  inputs: readonly HostTensor[],
  typed: AttributesOf<N>,
  { exact = false, smooth = true, skip = {}, note }: CaseOptions = {},
): Case {
  const attributes = typed as Attributes;
  const empty = inputs.some(({ shape }) => sizeOf(shape) === 0);
  const shown = Object.entries(attributes).map(([key, value]) => ` ${key}=${JSON.stringify(value)}`);
  const name = `${operator}(${inputs.map(showType).join(", ")})${shown.join("")}${note === undefined ? "" : ` ${note}`}`;
  return {
    name,
    operator,
    attributes,
    inputs,
    tolerance: exact ? 0 : 1e-5,
    smooth,
    skip: empty ? { ...EMPTY, ...skip } : skip,
  };
}

/** The case as a program: inputs "x0", "x1", …, outputs "y0", "y1", …. */
export function caseProgram({ name, operator, attributes, inputs }: Case): Program {
  const tensors = inputs.map(({ shape, dtype }, i) => input(`x${i}`, shape, dtype));
  return program(name, numbered("y", applyAll(operator, tensors, attributes as AttributesOf<typeof operator>)));
}

export function caseData({ inputs }: Case): Record<string, HostTensor["data"]> {
  return Object.fromEntries(inputs.map(({ data }, i) => [`x${i}`, data]));
}

export function numbered(prefix: string, tensors: readonly Tensor[]): Record<string, Tensor> {
  return Object.fromEntries(tensors.map((tensor, i) => [`${prefix}${i}`, tensor]));
}

// ---- values, a pure function of the shape and of a name that tells operands apart

/** Normal numbers, both signs. */
export function floats(shape: Shape, stream = "a", scale = 1): HostTensor {
  const data = randomNormals(randomKey(1, `${stream} ${showShape(shape)}`), sizeOf(shape), scale);
  return { dtype: "float32", shape, data };
}

/** Numbers of at least 0.5. */
export function positives(shape: Shape, stream = "a"): HostTensor {
  const { data } = floats(shape, stream);
  return { dtype: "float32", shape, data: Float32Array.from(data, (x) => 0.5 + Math.abs(x)) };
}

/** Numbers of both signs, at least 0.5 from zero. */
export function nonzeros(shape: Shape, stream = "a"): HostTensor {
  const { data } = floats(shape, stream);
  return { dtype: "float32", shape, data: Float32Array.from(data, (x) => x + (x < 0 ? -0.5 : 0.5)) };
}

/** Integers from `low` to `high`, both included. */
export function integers(shape: Shape, low: number, high: number, stream = "a"): HostTensor {
  const key = randomKey(2, `${stream} ${showShape(shape)}`);
  const data = Int32Array.from({ length: sizeOf(shape) }, (_, i) => low + (randomUint32(key, i) % (high - low + 1)));
  return { dtype: "int32", shape, data };
}

/** Whole numbers from -2 to 2 as float32: every tie, zero and sign occurs. */
export function ties(shape: Shape, stream = "a"): HostTensor {
  return { dtype: "float32", shape, data: Float32Array.from(integers(shape, -2, 2, stream).data) };
}

export function booleans(shape: Shape, stream = "a"): HostTensor {
  return { dtype: "bool", shape, data: Uint8Array.from(integers(shape, 0, 1, stream).data) };
}

export function listed(values: readonly number[]): HostTensor {
  return { dtype: "float32", shape: [values.length], data: Float32Array.from(values) };
}
