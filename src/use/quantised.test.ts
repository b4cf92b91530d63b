/** 8-bit weights: how far they may be from what they stand for, and that ONNX Runtime makes the same numbers of them. */
import { InferenceSession, Tensor } from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { randomKey, randomNormals } from "../base/random.ts";
import type { Shape } from "../base/shape.ts";
import { encodeModel } from "../onnx/schema.ts";
import { type Blocks, blocksOf, dequantised, quantised, scaleShape } from "./quantised.ts";

const cases: readonly [Shape, Blocks][] = [
  [[64, 48], { axis: 0, size: 32 }],
  [[64, 48], { axis: 1, size: 32 }],
  [[70, 5], { axis: 0, size: 32 }],
  [[3, 33], { axis: 1, size: 32 }],
  [[1, 1], { axis: 0, size: 32 }],
  [[5, 7], { axis: 1, size: 2 }],
];

function example([rows, columns]: Shape): Float32Array {
  const values = randomNormals(randomKey(1, `${rows} ${columns}`), rows * columns, 1);
  values[0] = -3; // the largest of its block is exact
  return values;
}

const tensor = (shape: Shape, data: Int8Array | Float32Array) =>
  data instanceof Int8Array
    ? ({ dtype: "int32", shape, data: Int32Array.from(data) } as const)
    : ({ dtype: "float32", shape, data } as const);

function roundTrip(values: Float32Array, shape: Shape, blocks: Blocks) {
  const { integers, scales } = quantised(values, shape, blocks);
  const back = dequantised(tensor(shape, integers), tensor(scaleShape(shape, blocks), scales), blocks);
  return { integers, scales, back: back.data as Float32Array };
}

describe.each(cases)("%j in %j", (shape, blocks) => {
  it("is within 1/254 of the largest of each block", () => {
    const values = example(shape);
    const { back, integers } = roundTrip(values, shape, blocks);
    const [rows, columns] = shape;
    const inBlock = (i: number, k: number) => {
      const places = [i, k].map((at) => [Math.floor(at / columns), at % columns]);
      const own = places.map((place) => Math.floor(place[blocks.axis] / blocks.size));
      return own[0] === own[1] && places[0][1 - blocks.axis] === places[1][1 - blocks.axis];
    };
    for (let i = 0; i < rows * columns; i++) {
      const block = values.filter((_, k) => inBlock(i, k));
      const largest = Math.max(...block.map(Math.abs));
      expect(Math.abs(back[i] - values[i])).toBeLessThanOrEqual((largest / 254) * 1.000001);
      if (Math.abs(values[i]) === largest) expect(Math.abs(integers[i])).toBe(127);
    }
  });

  it("is what DequantizeLinear makes of it, bit for bit", async () => {
    const { integers, scales, back } = roundTrip(example(shape), shape, blocks);
    const scale = scaleShape(shape, blocks);
    const value = (name: string, elem_type: number, dims: Shape) => {
      const dim = dims.map((size) => ({ dim_value: BigInt(size) }));
      return { name, type: { tensor_type: { elem_type, shape: { dim } } } };
    };
    const attribute = (name: string, i: number) => ({ name, i: BigInt(i), type: 2 });
    const model = encodeModel({
      ir_version: 10n,
      opset_import: [{ domain: "", version: 21n }],
      graph: {
        name: "dequantise",
        node: [
          {
            op_type: "DequantizeLinear",
            input: ["x", "scale"],
            output: ["y"],
            attribute: [attribute("axis", blocks.axis), attribute("block_size", blocks.size)],
          },
        ],
        input: [value("x", 3, shape), value("scale", 1, scale)],
        output: [value("y", 1, shape)],
      },
    });
    const session = await InferenceSession.create(model);
    const x = new Tensor("int8", integers, [...shape]);
    const { y } = await session.run({ x, scale: new Tensor("float32", scales, [...scale]) });
    expect(y.data).toEqual(back);
    await session.release();
  });
});

it("keeps zeros, and numbers too small for a scale", () => {
  const blocks = { axis: 1, size: 4 } as const;
  const { back } = roundTrip(Float32Array.of(0, 0, 0, 0, 1e-45, -1e-45, 0, 0), [1, 8], blocks);
  expect([...back].map(Math.abs)).toEqual(new Array(8).fill(0));
});

it("cuts linear maps along their inputs, tables along their width, and nothing else", () => {
  expect(blocksOf({ map: [8] }, 32)).toEqual({ axis: 0, size: 32 });
  for (const role of ["table", "head"] as const) expect(blocksOf(role, 32)).toEqual({ axis: 1, size: 32 });
  expect(blocksOf("other", 32)).toBeUndefined();
});
