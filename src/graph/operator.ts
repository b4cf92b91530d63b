/**
 * What an operator is: a shape rule, a gradient, traits and an ONNX form, side by side, under its name in the ONNX
 * standard. ops/index.ts is the closed table of all operators. Nothing else depends on an operator's name, except the
 * interpreter of the tests, which defines each one by plain loops.
 */
import type { DType, TensorType } from "../base/dtype.ts";
import { LonghandError } from "../base/errors.ts";
import { type Shape, showShape } from "../base/shape.ts";
import type { Attributes, Tensor } from "./symbolic.ts";

export type { Attributes, AttributeValue } from "./symbolic.ts";

/** How a node is written in ONNX: its attributes, and operands that ONNX takes as constant int64 tensors. */
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
  /** One per output; zeros where none arrives. */
  readonly gradients: readonly Tensor[];
}

/** One gradient per input, before broadcasting is undone; undefined where there is none. */
export type GradientRule<A> = (node: Backward<A>) => readonly (Tensor | undefined)[];

/** Facts about an operator that its rules do not tell. */
interface Traits<A> {
  /** The output is the input's memory in another shape. */
  readonly view?: boolean;
  /** The output may be written over an input of the same size, element by element. */
  readonly inPlace?: boolean;
  /** Which side holds the parts, along `axis`, of an operator that concatenates or splits tensors. */
  readonly parts?: "inputs" | "outputs";
  /** Floating-point operations, of matrix products alone. */
  flops?(inputs: readonly TensorType[], outputs: readonly TensorType[], attributes: A): number;
}

export interface Operator<A> {
  /** The types of the outputs; calls `fail` when inputs or attributes do not fit. */
  infer(inputs: readonly TensorType[], attributes: A): readonly TensorType[];
  /** The reverse-mode rule, or the reason why there is none. */
  readonly gradient: GradientRule<A> | { readonly none: string };
  onnx?(attributes: A, inputs: readonly TensorType[]): OnnxForm;
  readonly traits?: Traits<A>;
}

/** An operator with its attribute type erased, as the table holds it. */
export type AnyOperator = Operator<Attributes>;

export type NoAttributes = Readonly<Record<never, never>>;

/** Refuses the inputs or attributes of an operator; inferTypes adds the operator's name and the shapes. */
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

export function expectAxis({ shape }: TensorType, axis: number): void {
  if (!Number.isInteger(axis) || axis < 0 || axis >= shape.length) fail(`no axis ${axis}`);
}

export function like(type: TensorType, shape: Shape): TensorType {
  return { dtype: type.dtype, shape };
}

/** The type with another size along one axis. */
export function resized(type: TensorType, axis: number, size: number): TensorType {
  return like(
    type,
    type.shape.map((n, i) => (i === axis ? size : n)),
  );
}
