/** MC-TFM++ (Hua, Dai, Liu, Le 2022, section 4, ablations): Transformer++ with mixed chunk attention in each head. */
import { mixedChunkSoftmaxAttention } from "../../nn/mixed-chunk-softmax-attention.ts";
import { transformerBlock } from "../../nn/transformer-block.ts";
import { defineArchitecture, positive } from "../architecture.ts";
import { chunkAblations, chunkProblem } from "./chunks.ts";
import { rotaryTransformer, transformerFields, transformerPreset } from "./transformer-frame.ts";

export const mcTfmPlusPlus = defineArchitecture({
  name: "mc-tfm++",
  label: "MC-TFM++",
  description: "Transformer++ with softmax inside chunks and linear attention across them",
  look: { light: "#00785a", dark: "#4fd1a5", symbol: "star", dashes: "10 4" },
  fields: { ...transformerFields, chunk: positive().describe("C: tokens per chunk.") },
  quadratic: false,
  ...rotaryTransformer,
  preset: (size) => ({ ...transformerPreset(size), chunk: size.chunk }),
  contextProblem: ({ chunk }, context) => chunkProblem(chunk, context),
  ablations: chunkAblations,
  layer: ({ ffn, ...config }) => transformerBlock({ attention: mixedChunkSoftmaxAttention(config), ffn, gated: true }),
});
