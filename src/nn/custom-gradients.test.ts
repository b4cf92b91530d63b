/**
 * The gradients that are written by hand (withGradient), each against central differences of its own forward formula.
 */
import { describe, it } from "vitest";
import { floats } from "../../test/conformance/case.ts";
import { expectGradients, type Tensors, type TestFunction } from "../../test/support/differences.ts";
import { constant } from "../graph/tensor.ts";
import { silu, squaredRelu } from "./activations.ts";
import { attend, attentionFunctionNames, laplace, softmaxMatmul, squaredReluMatmul } from "./attention-functions.ts";
import { crossEntropy } from "./cross-entropy.ts";
import { linearMaps, scaleAndShift, splitLinear } from "./linear.ts";
import { layerNorm, scaleNorm } from "./norm.ts";
import { hiddenWhereZero } from "./visibility.ts";

const linearInputs = (width: number, outputs: number) => ({
  x: floats([2, 3, width], "x"),
  weight: floats([width, outputs], "weight"),
  bias: floats([outputs], "bias"),
});

const functions: readonly TestFunction[] = [
  { name: "silu", inputs: { x: floats([3, 5], "x", 3) }, build: ({ x }) => [silu(x)] },
  { name: "squaredRelu", inputs: { x: floats([3, 5], "x") }, build: ({ x }) => [squaredRelu(x)] },
  { name: "laplace", inputs: { x: floats([3, 5], "x") }, build: ({ x }) => [laplace(x)] },
  ...attentionFunctionNames.map((kind) => ({
    name: `attention by ${kind}, two keys hidden`,
    inputs: { scores: floats([2, 3, 4], "scores"), v: floats([2, 4, 5], "v") },
    build: ({ scores, v }: Tensors) => {
      const real = constant(Float32Array.of(1, 1, 0, 1, 0, 1, 1, 1), [2, 1, 4]);
      return [attend(kind, scores.add(hiddenWhereZero(real)), v)];
    },
  })),
  {
    name: "scaleNorm",
    inputs: { x: floats([2, 3, 6], "x"), gain: floats([1], "gain") },
    build: ({ x, gain }) => [scaleNorm(x, gain)],
  },
  {
    name: "layerNorm",
    inputs: { x: floats([2, 3, 6], "x"), gain: floats([6], "gain"), bias: floats([6], "bias") },
    build: ({ x, gain, bias }) => [layerNorm(x, gain, bias)],
  },
  {
    name: "scaleAndShift",
    inputs: { x: floats([2, 3, 4], "x"), gain: floats([4], "gain"), offset: floats([4], "offset") },
    build: ({ x, gain, offset }) => [scaleAndShift(x, gain, offset)],
  },
  {
    name: "softmaxMatmul",
    inputs: { scores: floats([2, 3, 5], "scores"), v: floats([2, 5, 4], "v") },
    build: ({ scores, v }) => [softmaxMatmul(scores, v)],
  },
  ...[2, 5].map((e) => ({
    name: `squaredReluMatmul, ${e} columns`,
    inputs: { scores: floats([2, 4, 6], "scores"), v: floats([2, 6, e], "v") },
    build: ({ scores, v }: Tensors) => [
      squaredReluMatmul(scores.add(hiddenWhereZero(constant(Float32Array.of(1, 1, 1, 0, 1, 1), [1, 1, 6]))), v),
    ],
  })),
  {
    name: "splitLinear, the left side transposed",
    inputs: linearInputs(4, 7),
    build: ({ x, weight, bias }) => splitLinear(x, { weight, bias }, [4, 2, 1]),
  },
  {
    name: "splitLinear, the gradient transposed",
    inputs: linearInputs(6, 2),
    build: ({ x, weight, bias }) => splitLinear(x, { weight, bias }, [2]),
  },
  {
    name: "splitLinear of few rows",
    inputs: linearInputs(7, 5),
    build: ({ x, weight, bias }) => splitLinear(x, { weight, bias }, [3, 2], silu),
  },
  ...[4, 7].map((width) => ({
    name: `linearMaps of width ${width}`,
    inputs: { ...linearInputs(width, 3), weight2: floats([width, 2], "weight2"), bias2: floats([2], "bias2") },
    build: ({ x, weight, bias, weight2, bias2 }: Tensors) =>
      linearMaps(x, [
        { weight, bias },
        { weight: weight2, bias: bias2 },
      ]),
  })),
  {
    name: "splitLinear, one part unused",
    inputs: linearInputs(4, 5),
    build: ({ x, weight, bias }) => splitLinear(x, { weight, bias }, [3, 2]).slice(0, 1),
  },
  {
    name: "crossEntropy",
    inputs: { x: floats([4, 3], "x"), table: floats([6, 3], "table"), bias: floats([6], "bias") },
    build: ({ x, table, bias }) => {
      const targets = constant(Int32Array.of(5, 0, 2, 2), [4]);
      const weights = constant(Float32Array.of(0.5, 0, 1, 0.25), [4]);
      return [crossEntropy({ x, table, bias, targets, weights }).sum];
    },
  },
];

describe("gradients written by hand", () => {
  it.each(functions)("$name", (tested) => expectGradients(tested));
});
