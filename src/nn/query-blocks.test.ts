/** Quadratic attention leaves out the blocks of keys that come after a block of queries: counted from the graph. */
import { expect, it } from "vitest";
import { program } from "../graph/program.ts";
import { input } from "../graph/tensor.ts";
import { flashQuad } from "./flash-quad.ts";
import type { Layer } from "./layer.ts";
import { angleTable } from "./positions.ts";
import { Scope } from "./scope.ts";
import { softmaxAttention } from "./softmax-attention.ts";
import { Visibility } from "./visibility.ts";

const [width, shared] = [16, 8];

/** Operations of the products of one token with another: between batches of matrices. */
function squareOf(layer: Layer, T: number, causal: boolean): number {
  const visibility = new Visibility({ causal });
  const x = input("x", [1, T, width]);
  const y = layer.forward(new Scope(), x, { rotations: angleTable(T, shared), visibility });
  return program("test", { y }).nodes.reduce((sum, node) => {
    if (node.kind !== "operator" || node.name !== "MatMul" || node.inputs[1].rank < 3) return sum;
    const [[{ shape }], [output]] = [node.inputs, node.outputs];
    return sum + 2 * output.size * shape[shape.length - 1];
  }, 0);
}

const layers = {
  "FLASH-Quad": () => flashQuad({ width, expanded: 32, shared, norm: "scale", maxLength: 4096 }),
  "FLASH-Quad with softmax": () =>
    flashQuad({ width, expanded: 32, shared, norm: "scale", maxLength: 4096, attentionFunction: "softmax" }),
  "the attention of Transformer++": () => softmaxAttention({ width, heads: 2, rotary: true }),
};

it.each(Object.entries(layers))("%s", (_, layer) => {
  const share = (T: number) => squareOf(layer(), T, true) / squareOf(layer(), T, false);
  expect(share(128)).toBe(1); // one block
  expect(share(512)).toBe(10 / 16); // four of 128 queries
  expect(share(2048)).toBe(36 / 64); // eight
  expect(share(4096)).toBe(36 / 64);
});
