/** Definitions of reading and adding by index. An index outside its axis is an error here, whatever an engine does. */
import { sizeOf } from "../../src/base/shape.ts";
import { type Definitions, pick, positions, stridesOf, type Value } from "./value.ts";

function checked(index: number, size: number): number {
  if (!Number.isInteger(index) || index < 0 || index >= size) throw new Error(`index ${index} of an axis of ${size}`);
  return index;
}

/** For every index of `indices`: the position in `x` with the index along `axis` replaced by what is read there. */
function addressed(x: Value, indices: Value, axis: number): Int32Array {
  const strides = stridesOf(x.shape);
  const where = positions(
    indices.shape,
    strides.map((stride, i) => (i === axis ? 0 : stride)),
  );
  return where.map((position, i) => position + checked(indices.data[i], x.shape[axis]) * strides[axis]);
}

export const indexing = {
  // y[i…, j…] = x[indices[i…], j…]
  Gather: ([x, indices]) => {
    const rest = x.shape.slice(1);
    const width = sizeOf(rest);
    const data = new Float64Array(indices.data.length * width);
    for (let i = 0; i < indices.data.length; i++) {
      const from = checked(indices.data[i], x.shape[0]) * width;
      data.set(x.data.subarray(from, from + width), i * width);
    }
    return [{ dtype: x.dtype, shape: [...indices.shape, ...rest], data }];
  },

  // y[i, j] = x[indices[i, j], j] for axis 0 of two
  GatherElements: ([x, indices], { axis }) => [pick(x, indices.shape, addressed(x, indices, axis))],

  // y = x; then y[indices[i, j], j] += updates[i, j] for axis 0 of two; repeated indices add up
  ScatterElements: ([x, indices, updates], { axis }) => {
    const data = x.data.slice();
    const where = addressed(x, indices, axis);
    for (let i = 0; i < where.length; i++) data[where[i]] += updates.data[i];
    return [{ ...x, data }];
  },
} satisfies Partial<Definitions>;
