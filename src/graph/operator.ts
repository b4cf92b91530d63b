/**
 * What an operator is: a name of the ONNX standard, a shape rule, a gradient, its traits and its ONNX form, side by
 * side. The closed table of all of them is ops/index.ts. Nothing else in the project switches on an operator's name,
 * except the interpreter of the tests, which defines each one by plain loops.
 */
import type { DType, TensorType } from "../base/dtype.ts";
import { LonghandError } from "../base/errors.ts";
import { type Shape, showShape } from "../base/shape.ts";
import type { Attributes, Tensor } from "./symbolic.ts";

export type { Attributes, AttributeValue } from "./symbolic.ts";

/** How a node is written in ONNX: its attributes there, and operands that ONNX wants as constant int64 tensors. */
interface OnnxForm {
  readonly attributes?: Attributes;
  /** Appended after the tensor inputs; undefined leaves an optional operand out. */
  readonly operands?: readonly (OnnxOperand | undefined)[];
}

export type OnnxOperand = { readonly int64: readonly number[]; readonly scalar?: boolean };

/** What a gradient rule sees: the node's inputs, outputs and attributes, and the gradient of each output. */
export interface Backward<A> {
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  readonly attributes: A;
  /** One per output; the walk fills the missing ones with zeros. */
  readonly gradients: readonly Tensor[];
}

/** One gradient per input, of the shape of the broadcast operation; undefined where nothing flows. */
export type GradientRule<A> = (node: Backward<A>) => readonly (Tensor | undefined)[];

/** What there is to know of an operator without its rules. */
interface Traits<A> {
  /** The output is the input's memory seen in another shape. */
  readonly view?: boolean;
  /** The output may be written over an input of the same size, element by element. */
  readonly inPlace?: boolean;
  /** Which side has many parts along `axis` of the other: an operator that joins or divides tensors. */
  readonly parts?: "inputs" | "outputs";
  /** Floating-point operations that are counted as cost: those of matrix products. */
  flops?(inputs: readonly TensorType[], outputs: readonly TensorType[], attributes: A): number;
}

export interface Operator<A> {
  /** The types of the outputs; throws by `fail` when inputs or attributes do not fit. */
  infer(inputs: readonly TensorType[], attributes: A): readonly TensorType[];
  /** The reverse-mode rule, or the reason why there is none. */
  readonly gradient: GradientRule<A> | { readonly none: string };
  onnx?(attributes: A, inputs: readonly TensorType[]): OnnxForm;
  readonly traits?: Traits<A>;
}

/** An operator with its attribute type erased, as the table holds it. */
export interface AnyOperator {
  infer(inputs: readonly TensorType[], attributes: Attributes): readonly TensorType[];
  readonly gradient: ((node: Backward<Attributes>) => readonly (Tensor | undefined)[]) | { readonly none: string };
  onnx?(attributes: Attributes, inputs: readonly TensorType[]): OnnxForm;
  readonly traits?: Traits<Attributes>;
}

export type NoAttributes = Readonly<Record<never, never>>;

/** A shape rule's complaint; the node's constructor adds the operator's name and the shapes. */
export function fail(message: string): never {
  throw new LonghandError("graph", message);
}

export function showType(type: TensorType): string {
  return `${type.dtype}${showShape(type.shape)}`;
}

export function expectCount(inputs: readonly TensorType[], count: number): void {
  if (inputs.length !== count) fail(`expected ${count} inputs, got ${inputs.length}`);
}

export function expectDType(input: TensorType, ...allowed: readonly DType[]): void {
  if (!allowed.includes(input.dtype)) fail(`expected ${allowed.join(" or ")}, got ${input.dtype}`);
}

export function like(type: TensorType, shape: Shape): TensorType {
  return { dtype: type.dtype, shape };
}
