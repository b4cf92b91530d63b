/** Combiner (Ren et al. 2021) in the frame of Transformer++: attention inside a block, summaries of the others. */
import { combinerAttention } from "../../nn/combiner-attention.ts";
import { transformerBlock } from "../../nn/transformer-block.ts";
import { defineArchitecture, positive } from "../architecture.ts";
import { chunkAblations, chunkProblem } from "./chunks.ts";
import { rotaryTransformer, transformerFields, transformerPreset } from "./transformer-frame.ts";

export const combiner = defineArchitecture({
  name: "combiner",
  label: "Combiner",
  description: "Transformer++ with attention inside blocks and to a summary of each other block",
  look: { light: "#9c7a00", dark: "#e8c547", symbol: "wye", dashes: "1 3" },
  fields: { ...transformerFields, chunk: positive().describe("C: tokens per block.") },
  quadratic: false,
  ...rotaryTransformer,
  preset: (size) => ({ ...transformerPreset(size), chunk: size.chunk }),
  contextProblem: ({ chunk }, context) => chunkProblem(chunk, context),
  ablations: chunkAblations,
  layer({ ffn, ...config }) {
    const { outputMaps } = config;
    return transformerBlock({ attention: combinerAttention(config), ffn, gated: true, outputMaps });
  },
});
