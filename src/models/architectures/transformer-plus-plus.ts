/** Transformer++ (Hua, Dai, Liu, Le 2022, section 4): the Transformer with RoPE and a gated network. */
import { softmaxAttention } from "../../nn/softmax-attention.ts";
import { transformerBlock } from "../../nn/transformer-block.ts";
import { defineArchitecture } from "../architecture.ts";
import { rotaryHeadProblems, transformerFields, transformerPreset } from "./transformer-frame.ts";

export const transformerPlusPlus = defineArchitecture({
  name: "transformer++",
  label: "Transformer++",
  description: "softmax attention, GEGLU network, RoPE: what FLASH is compared with",
  look: { light: "#0063a5", dark: "#6cb6ff", symbol: "triangle", dashes: "none" },
  fields: transformerFields,
  quadratic: true,
  bidirectional: true,
  preset: (size) => transformerPreset(size),
  problems: rotaryHeadProblems,
  rotaryWidth: ({ width, heads }) => width / heads,
  layer: ({ width, heads, ffn }) =>
    transformerBlock({ attention: softmaxAttention({ width, heads, rotary: true }), ffn, gated: true }),
});
