/** Operators that move elements without computing: reshape, transpose, concatenate, split, slice, pad, repeat. */
import { broadcastAxes, broadcastShapes, type Shape, sameShape, sizeOf } from "../../base/shape.ts";
import { expectAxis, expectCount, fail, like, type Operator, resized } from "../operator.ts";

type Range = { axis: number; start: number; end: number };

export const layout = {
  Reshape: {
    infer(inputs, { shape }) {
      expectCount(inputs, 1);
      if (shape.some((n) => !Number.isInteger(n) || n < 0) || sizeOf(shape) !== sizeOf(inputs[0].shape))
        fail(`cannot become [${shape.join(", ")}]: another number of elements`);
      return [like(inputs[0], shape)];
    },
    gradient: ({ inputs: [x], gradients: [g] }) => [g.reshape(x.shape)],
    // allowzero: a 0 in the shape is an empty axis, not ONNX's "as before"
    onnx: ({ shape }) => ({ attributes: { allowzero: 1 }, operands: [{ int64: shape }] }),
    traits: { view: true },
  } satisfies Operator<{ shape: Shape }>,

  Transpose: {
    infer(inputs, { perm }) {
      expectCount(inputs, 1);
      const { shape } = inputs[0];
      if (perm.length !== shape.length || [...perm].sort((a, b) => a - b).some((axis, i) => axis !== i)) {
        fail(`[${perm.join(", ")}] is no permutation of the axes`);
      }
      return [
        like(
          inputs[0],
          perm.map((axis) => shape[axis]),
        ),
      ];
    },
    gradient: ({ gradients: [g], attributes: { perm } }) => [g.transpose(perm.map((_, axis) => perm.indexOf(axis)))],
    onnx: ({ perm }) => ({ attributes: { perm } }),
  } satisfies Operator<{ perm: readonly number[] }>,

  // The gradient is split where the parts were concatenated.
  Concat: {
    infer(inputs, { axis }) {
      if (inputs.length === 0) fail("expected at least one input");
      const first = inputs[0].shape;
      expectAxis(inputs[0], axis);
      let total = 0;
      for (const { shape, dtype } of inputs) {
        if (dtype !== inputs[0].dtype) fail("element types differ");
        if (shape.length !== first.length || shape.some((n, i) => i !== axis && n !== first[i]))
          fail("shapes differ off the axis");
        total += shape[axis];
      }
      return [resized(inputs[0], axis, total)];
    },
    gradient: ({ inputs, gradients: [g], attributes: { axis } }) =>
      g.split(
        axis,
        inputs.map((x) => x.shape[axis]),
      ),
    onnx: ({ axis }) => ({ attributes: { axis } }),
    traits: { parts: "inputs" },
  } satisfies Operator<{ axis: number }>,

  Split: {
    infer(inputs, { axis, sizes }) {
      expectCount(inputs, 1);
      const { shape } = inputs[0];
      expectAxis(inputs[0], axis);
      if (sizes.some((n) => !Number.isInteger(n) || n < 0) || sizes.reduce((a, b) => a + b, 0) !== shape[axis]) {
        fail(`parts of [${sizes.join(", ")}] do not make up axis ${axis}`);
      }
      return sizes.map((size) => resized(inputs[0], axis, size));
    },
    gradient: ({ gradients, attributes: { axis } }) => [gradients[0].concat(gradients.slice(1), axis)],
    onnx: ({ axis, sizes }) => ({ attributes: { axis }, operands: [{ int64: sizes }] }),
    traits: { parts: "outputs" },
  } satisfies Operator<{ axis: number; sizes: readonly number[] }>,

  // x[start … end) along one axis; the gradient is padded with zeros
  Slice: {
    infer(inputs, { axis, start, end }) {
      expectCount(inputs, 1);
      const { shape } = inputs[0];
      expectAxis(inputs[0], axis);
      if (!(Number.isInteger(start) && Number.isInteger(end) && start >= 0 && end >= start && end <= shape[axis])) {
        fail(`range ${start} … ${end} lies outside axis ${axis}`);
      }
      return [resized(inputs[0], axis, end - start)];
    },
    gradient: ({ inputs: [x], gradients: [g], attributes: { axis, start, end } }) => [
      g.pad(axis, start, x.shape[axis] - end),
    ],
    onnx: ({ axis, start, end }) => ({ operands: [{ int64: [start] }, { int64: [end] }, { int64: [axis] }] }),
  } satisfies Operator<Range>,

  // `before` and `after` zeros along one axis
  Pad: {
    infer(inputs, { axis, before, after }) {
      expectCount(inputs, 1);
      expectAxis(inputs[0], axis);
      if (!(Number.isInteger(before) && Number.isInteger(after) && before >= 0 && after >= 0)) {
        fail(`padding ${before} and ${after}: expected non-negative integers`);
      }
      return [resized(inputs[0], axis, before + inputs[0].shape[axis] + after)];
    },
    gradient: ({ inputs: [x], gradients: [g], attributes: { axis, before } }) => [
      g.slice(axis, before, before + x.shape[axis]),
    ],
    onnx: ({ axis, before, after }, [{ shape }]) => {
      const pads = new Array<number>(2 * shape.length).fill(0);
      pads[axis] = before;
      pads[shape.length + axis] = after;
      return { operands: [{ int64: pads }] };
    },
  } satisfies Operator<{ axis: number; before: number; after: number }>,

  // Repeats size-1 axes; the gradient sums over what was repeated.
  Expand: {
    infer(inputs, { shape }) {
      expectCount(inputs, 1);
      const out = broadcastShapes(inputs[0].shape, shape);
      if (out === undefined || !sameShape(out, shape)) fail(`does not expand to [${shape.join(", ")}]`);
      return [like(inputs[0], shape)];
    },
    gradient: ({ inputs: [x], gradients: [g], attributes: { shape } }) => [
      g.sum(broadcastAxes(x.shape, shape)).reshape(x.shape),
    ],
    onnx: ({ shape }) => ({ operands: [{ int64: shape }] }),
  } satisfies Operator<{ shape: Shape }>,
};
