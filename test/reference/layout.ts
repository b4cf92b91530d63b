/** Definitions of operators that move elements: each is a view of its input, or a write into a view of its output. */
import { broadcastTo, type Definitions, pick, positions, stridesOf, type Value, withSize, zeros } from "./value.ts";

/** The elements start … end along one axis. */
function cut(x: Value, axis: number, start: number, end: number): Value {
  const strides = stridesOf(x.shape);
  const shape = withSize(x.shape, axis, end - start);
  return pick(x, shape, positions(shape, strides, start * strides[axis]));
}

/** Copies `part` into `whole`, `start` elements in along one axis. */
function paste(whole: Value, part: Value, axis: number, start: number): void {
  const strides = stridesOf(whole.shape);
  const into = positions(part.shape, strides, start * strides[axis]);
  for (let i = 0; i < into.length; i++) whole.data[into[i]] = part.data[i];
}

export const layout = {
  Reshape: ([x], { shape }) => [{ ...x, shape }],

  Transpose: ([x], { perm }) => {
    const strides = stridesOf(x.shape);
    const shape = perm.map((axis) => x.shape[axis]);
    const where = positions(
      shape,
      perm.map((axis) => strides[axis]),
    );
    return [pick(x, shape, where)];
  },

  Concat: (inputs, { axis }) => {
    const size = inputs.reduce((total, x) => total + x.shape[axis], 0);
    const y = zeros(inputs[0].dtype, withSize(inputs[0].shape, axis, size));
    let start = 0;
    for (const x of inputs) {
      paste(y, x, axis, start);
      start += x.shape[axis];
    }
    return [y];
  },

  Split: ([x], { axis, sizes }) => {
    let start = 0;
    return sizes.map((size) => {
      start += size;
      return cut(x, axis, start - size, start);
    });
  },

  Slice: ([x], { axis, start, end }) => [cut(x, axis, start, end)],

  Pad: ([x], { axis, before, after }) => {
    const y = zeros(x.dtype, withSize(x.shape, axis, before + x.shape[axis] + after));
    paste(y, x, axis, before);
    return [y];
  },

  Expand: ([x], { shape }) => [broadcastTo(x, shape)],
} satisfies Partial<Definitions>;
