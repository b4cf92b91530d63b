/**
 * The Transformer (Vaswani et al. 2017) with pre-layer normalisation: softmax attention and a GELU network, no RoPE.
 */
import { softmaxAttention } from "../../nn/softmax-attention.ts";
import { transformerBlock } from "../../nn/transformer-block.ts";
import { defineArchitecture } from "../architecture.ts";
import { headProblems, transformerFields, transformerPreset } from "./transformer-frame.ts";

export const transformer = defineArchitecture({
  name: "transformer",
  label: "Transformer",
  description: "softmax attention, GELU network, absolute positions alone",
  look: { light: "#5b6770", dark: "#adb5bd", symbol: "cross", dashes: "8 3 2 3" },
  fields: transformerFields,
  quadratic: true,
  bidirectional: true,
  preset: (size) => transformerPreset(size, { gelu: true }),
  problems: headProblems,
  rotaryWidth: () => 0,
  layer: ({ width, heads, ffn }) =>
    transformerBlock({ attention: softmaxAttention({ width, heads, rotary: false }), ffn, gated: false }),
});
