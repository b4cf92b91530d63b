/**
 * Weights as 8-bit integers with a scale for each block of one axis: value = integer x scale, in float32. That is what ONNX's
 * DequantizeLinear computes of the same tensors (operator set 21, `axis` and `block_size`), so every program gets the same
 * float32 values.
 */
import type { HostTensor } from "../base/dtype.ts";
import type { Shape } from "../base/shape.ts";
import type { Role } from "../nn/scope.ts";

/** Integers are from -127 to 127. */
const LARGEST = 127;
/** Elements that share a scale. */
export const BLOCK = 32;

export interface Blocks {
  /** The axis that is cut into blocks. The last block may be shorter. */
  readonly axis: 0 | 1;
  readonly size: number;
}

export interface Quantised {
  /** [rows, columns] */
  readonly integers: Int8Array;
  /** The same shape with blocks in place of the elements of the axis. */
  readonly scales: Float32Array;
}

/**
 * How a parameter is cut: a linear map [in, out] along its inputs, which one output adds up; a table [rows, width], that of
 * logits too, along its width. Others stay as they are.
 */
export function blocksOf(role: Role, size: number): Blocks | undefined {
  if (role === "other") return undefined;
  return { axis: typeof role === "object" ? 0 : 1, size };
}

export function scaleShape([rows, columns]: Shape, { axis, size }: Blocks): Shape {
  return axis === 0 ? [Math.ceil(rows / size), columns] : [rows, Math.ceil(columns / size)];
}

/** Each value is at most half a scale, 1/254 of the largest of its block, from what `dequantised` makes of it. */
export function quantised(values: Float32Array, shape: Shape, blocks: Blocks): Quantised {
  const count = scaleShape(shape, blocks).reduce((product, size) => product * size, 1);
  const scales = new Float32Array(count);
  const scaleAt = scaleIndex(shape, blocks);
  for (const [i, value] of values.entries()) scales[scaleAt(i)] = Math.max(scales[scaleAt(i)], Math.abs(value));
  for (const [i, largest] of scales.entries()) scales[i] = largest / LARGEST;
  const integers = Int8Array.from(values, (value, i) => {
    const scale = scales[scaleAt(i)];
    return scale === 0 ? 0 : Math.max(-LARGEST, Math.min(LARGEST, Math.round(value / scale)));
  });
  return { integers, scales };
}

/** float32 values of integers [rows, columns] and their scales. The product of the two is rounded once. */
export function dequantised(integers: HostTensor, scales: HostTensor, blocks: Blocks): HostTensor {
  const { shape } = integers;
  const scaleAt = scaleIndex(shape, blocks);
  const data = Float32Array.from(integers.data, (integer, i) => integer * scales.data[scaleAt(i)]);
  return { dtype: "float32", shape, data };
}

/** The index of the scale of the element at an index. */
function scaleIndex(shape: Shape, blocks: Blocks): (index: number) => number {
  const [, columns] = shape;
  const [, across] = scaleShape(shape, blocks);
  const [down, right] = blocks.axis === 0 ? [blocks.size, 1] : [1, blocks.size];
  return (index) => {
    const column = index % columns;
    return Math.floor((index - column) / columns / down) * across + Math.floor(column / right);
  };
}
