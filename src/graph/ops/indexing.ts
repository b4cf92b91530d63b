/** Reading and adding by index. Indices are int32, must lie inside the axis, and carry no gradient. */
import { sizeOf } from "../../base/shape.ts";
import { expectAxis, expectCount, expectDType, fail, like, type Operator } from "../operator.ts";

type Axis = { axis: number };

export const indexing = {
  // Rows of a table: y = x[indices] along axis 0. The gradient adds each row back to where it came from.
  Gather: {
    infer(inputs, { axis }) {
      expectCount(inputs, 2);
      expectDType(inputs[1], "int32");
      const [x, indices] = inputs;
      if (axis !== 0 || x.shape.length === 0) fail(`expected axis 0 of a table, got axis ${axis}`);
      return [like(x, [...indices.shape, ...x.shape.slice(1)])];
    },
    gradient: ({ inputs: [x, indices], gradients: [g] }) => {
      const width = sizeOf(x.shape.slice(1));
      const rows = indices.reshape([indices.size, 1]).expand([indices.size, width]);
      const sums = x.zeros([x.shape[0], width]).scatterAdd(0, rows, g.reshape([indices.size, width]));
      return [sums.reshape(x.shape), undefined];
    },
    onnx: ({ axis }) => ({ attributes: { axis } }),
  } satisfies Operator<Axis>,

  // y[i][j] = x[indices[i][j]][j] for axis 0, and so on
  GatherElements: {
    infer(inputs, { axis }) {
      expectCount(inputs, 2);
      expectDType(inputs[1], "int32");
      const [x, indices] = inputs;
      expectAxis(x, axis);
      if (indices.shape.length !== x.shape.length || indices.shape.some((n, i) => i !== axis && n > x.shape[i])) {
        fail("indices must have the rank of the data and no larger axis but the indexed one");
      }
      return [like(x, indices.shape)];
    },
    gradient: ({ inputs: [x, indices], gradients: [g], attributes: { axis } }) => [
      x.zeros(x.shape).scatterAdd(axis, indices, g),
      undefined,
    ],
    onnx: ({ axis }) => ({ attributes: { axis } }),
  } satisfies Operator<Axis>,

  // x with updates added at indices; repeated indices add up. ScatterND would race on the CPU provider.
  ScatterElements: {
    infer(inputs, { axis }) {
      expectCount(inputs, 3);
      const [x, indices, updates] = inputs;
      expectDType(x, "float32");
      expectDType(indices, "int32");
      expectDType(updates, "float32");
      expectAxis(x, axis);
      if (
        indices.shape.length !== x.shape.length ||
        indices.shape.some((n, i) => n !== updates.shape[i] || (i !== axis && n > x.shape[i]))
      ) {
        fail("indices and updates must share one shape that fits the data off the axis");
      }
      return [x];
    },
    gradient: ({ inputs: [, indices], gradients: [g], attributes: { axis } }) => [
      g,
      undefined,
      g.gatherElements(axis, indices),
    ],
    onnx: ({ axis }) => ({ attributes: { axis, reduction: "add" } }),
  } satisfies Operator<Axis>,
};
