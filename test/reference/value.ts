/**
 * What the interpreter computes with: float64 values with a shape, whatever their element type, and the one primitive
 * behind almost every definition: where each element of a strided view lies.
 */
import type { DType } from "../../src/base/dtype.ts";
import { type Shape, sameShape, sizeOf } from "../../src/base/shape.ts";
import type { AttributesOf, OperatorName } from "../../src/graph/ops/index.ts";

export interface Value {
  readonly dtype: DType;
  readonly shape: Shape;
  /** Row-major. Integers are exact; booleans are 0 and 1. */
  readonly data: Float64Array;
}

/** An operator as a function of values. It finds the shapes of its outputs itself, so that shape rules are tested too. */
export type Definition<A> = (inputs: readonly Value[], attributes: A) => readonly Value[];

/** One definition for every operator: a missing one does not compile. */
export type Definitions = { readonly [N in OperatorName]: Definition<AttributesOf<N>> };

/** `f` of each element. A loop, because the `map` of a typed array takes several times as long. */
export function mapped(data: Float64Array, f: (x: number) => number): Float64Array {
  const result = new Float64Array(data.length);
  for (let i = 0; i < data.length; i++) result[i] = f(data[i]);
  return result;
}

export function zeros(dtype: DType, shape: Shape): Value {
  return { dtype, shape, data: new Float64Array(sizeOf(shape)) };
}

/** For each index of `shape` in row-major order: offset + sum over axes of index * stride. */
export function positions(shape: Shape, strides: readonly number[], offset = 0): Int32Array {
  const result = new Int32Array(sizeOf(shape));
  const last = shape.length - 1;
  const [size, step] = last < 0 ? [1, 0] : [shape[last], strides[last]];
  const index = new Array<number>(shape.length).fill(0);
  let position = offset;
  for (let i = 0; i < result.length; i += size) {
    for (let j = 0; j < size; j++) result[i + j] = position + j * step;
    for (let axis = last - 1; axis >= 0; axis--) {
      position += strides[axis];
      if (++index[axis] < shape[axis]) break;
      position -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return result;
}

/** The elements of `value` at `where`, as a value of another shape. */
export function pick({ dtype, data: from }: Value, shape: Shape, where: Int32Array): Value {
  const data = new Float64Array(where.length);
  for (let i = 0; i < data.length; i++) data[i] = from[where[i]];
  return { dtype, shape, data };
}

/** NumPy's rule: aligned at the last axis; sizes are equal or one of them is 1. */
export function broadcastTogether(shapes: readonly Shape[]): number[] {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    const sizes = shapes.map((shape) => shape[axis - (rank - shape.length)] ?? 1).filter((n) => n !== 1);
    if (sizes.some((n) => n !== sizes[0])) throw new Error(`shapes do not broadcast: ${JSON.stringify(shapes)}`);
    return sizes[0] ?? 1;
  });
}

/** Strides that read `from` as if it had the shape `to`: a repeated axis does not advance. */
export function broadcastStrides(from: Shape, to: Shape): number[] {
  const strides = stridesOf(from);
  const missing = to.length - from.length;
  return to.map((_, axis) => (axis < missing || from[axis - missing] === 1 ? 0 : strides[axis - missing]));
}

export function broadcastTo(value: Value, shape: Shape): Value {
  if (sameShape(value.shape, shape)) return value;
  return pick(value, shape, positions(shape, broadcastStrides(value.shape, shape)));
}

/** A shape as three factors around one axis: elements before it, along it, after it. */
export function aroundAxis(shape: Shape, axis: number): { outer: number; along: number; inner: number } {
  return { outer: sizeOf(shape.slice(0, axis)), along: shape[axis], inner: sizeOf(shape.slice(axis + 1)) };
}

/** `shape` with another size at one axis. */
export function withSize(shape: Shape, axis: number, size: number): number[] {
  return shape.map((n, i) => (i === axis ? size : n));
}

/** Row-major strides, in elements. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = stride;
    stride *= shape[i];
  }
  return strides;
}
