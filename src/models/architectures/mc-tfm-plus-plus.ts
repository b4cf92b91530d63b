/** MC-TFM++ (Hua, Dai, Liu, Le 2022, section 4, ablations): Transformer++ with mixed chunk attention in each head. */
import { mixedChunkSoftmaxAttention } from "../../nn/mixed-chunk-softmax-attention.ts";
import { transformerBlock } from "../../nn/transformer-block.ts";
import { defineArchitecture, positive } from "../architecture.ts";
import { chunkAblations, chunkProblem } from "./chunks.ts";
import {
  gammaField,
  memoryAblations,
  memoryConfig,
  memoryFields,
  memoryPreset,
  memoryProblems,
} from "./memory-fields.ts";
import { rotaryTransformer, transformerFields, transformerPreset } from "./transformer-frame.ts";

export const mcTfmPlusPlus = defineArchitecture({
  name: "mc-tfm++",
  label: "MC-TFM++",
  description: "Transformer++ with softmax inside chunks and linear attention across them",
  look: { light: "#00785a", dark: "#4fd1a5", symbol: "star", dashes: "10 4" },
  fields: { ...transformerFields, ...memoryFields, ...gammaField, chunk: positive().describe("C: tokens per chunk.") },
  quadratic: false,
  ...rotaryTransformer,
  preset: (size) => ({
    ...transformerPreset(size),
    chunk: size.chunk,
    ...memoryPreset(size),
    gamma: "normal",
    absolute: false,
  }),
  *problems(config) {
    yield* rotaryTransformer.problems(config);
    yield* memoryProblems(config);
    if (config.memory === "gated")
      yield ["memory", "expected another: only a gated unit has what its tokens decide by"];
  },
  contextProblem: ({ chunk }, context) => chunkProblem(chunk, context),
  ablations: { ...memoryAblations, ...chunkAblations },
  layer({ ffn, ...config }) {
    const attention = mixedChunkSoftmaxAttention({ ...config, memory: memoryConfig(config) });
    return transformerBlock({ attention, ffn, gated: true, outputMaps: config.outputMaps });
  },
});
