/** FLASH (Hua, Dai, Liu, Le 2022, section 3): gated attention units with mixed chunk attention, at linear cost. */
import { z } from "zod";
import { flash as flashLayer } from "../../nn/flash.ts";
import { type Ablation, defineArchitecture } from "../architecture.ts";
import { chunkAblations, chunkProblem } from "./chunks.ts";
import {
  gatedUnitAblations,
  gatedUnitFields,
  gatedUnitPreset,
  gatedUnitProblems,
  rotaryWidth,
  unitConfig,
} from "./gated-unit-fields.ts";
import { memoryAblations, memoryConfig, memoryFields, memoryPreset, memoryProblems } from "./memory-fields.ts";

/** Both halves of mixed chunk attention, or one of them. */
export const attentionNames = ["mixed", "local", "global"] as const;

export const flashAblations = {
  local: { fields: { attention: "local" }, description: "Attention inside chunks alone." },
  global: { fields: { attention: "global" }, description: "Linear attention across chunks alone." },
  paper: {
    fields: { memory: "sum", absolute: true },
    description: "FLASH as published: a sum over all chunks, and absolute positions.",
  },
  ...memoryAblations,
  "memory-gated": { fields: { memory: "gated" }, description: "A mean whose decays the tokens of a chunk decide." },
  absolute: { fields: { absolute: true }, description: "An embedding of absolute positions, as in the paper." },
  ...gatedUnitAblations,
  ...chunkAblations,
} as const satisfies Record<string, Ablation>;

export const flash = defineArchitecture({
  name: "flash",
  label: "FLASH",
  description: "gated attention units, attention inside chunks and linear attention across them",
  look: { light: "#c8102e", dark: "#ff7b72", symbol: "circle", dashes: "none" },
  fields: {
    ...gatedUnitFields,
    ...memoryFields,
    attention: z
      .enum(attentionNames)
      .default("mixed")
      .describe("FLASH: mixed chunk attention, or only its half inside chunks (local) or across chunks (global)."),
  },
  quadratic: false,
  bidirectional: true,
  preset: (size) => ({ ...gatedUnitPreset(size), ...memoryPreset(size), absolute: false }),
  *problems(config) {
    yield* gatedUnitProblems(config, config.chunk);
    yield* memoryProblems(config);
    if (config.attention === "global" && config.attentionFunction !== "relu2") {
      yield ["attentionFunction", "expected relu2 with attention global, which has no quadratic part"];
    }
  },
  contextProblem({ chunk, attention, causal }, context) {
    const problem = chunkProblem(chunk, context);
    if (problem) return problem;
    if (attention === "global" && causal && chunk >= context) {
      const sizes = `a chunk of ${chunk} and a context of ${context}`;
      return `attention global: with ${sizes} there is no earlier chunk to attend to; choose a smaller chunk`;
    }
    return undefined;
  },
  ablations: flashAblations,
  rotaryWidth,
  layer: (config) => {
    const { chunk, attention } = config;
    return flashLayer({ ...unitConfig(config), chunk, attention, memory: memoryConfig(config) });
  },
});
