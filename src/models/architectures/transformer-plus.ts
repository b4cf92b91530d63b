/** Transformer+ (Hua, Dai, Liu, Le 2022, section 4): the Transformer with RoPE. */
import { softmaxAttention } from "../../nn/softmax-attention.ts";
import { transformerBlock } from "../../nn/transformer-block.ts";
import { defineArchitecture } from "../architecture.ts";
import { rotaryHeadProblems, transformerFields, transformerPreset } from "./transformer-frame.ts";

export const transformerPlus = defineArchitecture({
  name: "transformer+",
  label: "Transformer+",
  description: "softmax attention, GELU network, RoPE",
  look: { light: "#3a8fc4", dark: "#96d0ff", symbol: "diamond", dashes: "2 3" },
  fields: transformerFields,
  quadratic: true,
  bidirectional: true,
  preset: (size) => transformerPreset(size, { gelu: true }),
  problems: rotaryHeadProblems,
  rotaryWidth: ({ width, heads }) => width / heads,
  layer: ({ width, heads, ffn }) =>
    transformerBlock({ attention: softmaxAttention({ width, heads, rotary: true }), ffn, gated: false }),
});
