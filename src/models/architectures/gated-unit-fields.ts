/** What the records of FLASH and FLASH-Quad share: the fields of a gated attention unit, and its ablations. */
import { z } from "zod";
import { attentionFunctionNames } from "../../nn/attention-functions.ts";
import type { GatedUnitConfig } from "../../nn/gated-attention-unit.ts";
import { ROTARY_BIAS_FROM } from "../../nn/positions.ts";
import { type Ablation, type ConfigOf, type ModelSize, positive } from "../architecture.ts";
import { gammaField } from "./memory-fields.ts";
import { outputMapsField } from "./output-maps.ts";

export const gatedUnitFields = {
  expansion: positive().default(2).describe("e / d: gated width over model width."),
  shared: positive().describe("s: width of queries and keys of a gated unit."),
  chunk: positive().describe("C: tokens per chunk of mixed chunk attention."),
  maxLength: positive().describe("n: longest input of flash-quad; divides its scores, spans its bias."),
  attentionFunction: z
    .enum(attentionFunctionNames)
    .default("relu2")
    .describe("Turns scores of a gated unit's quadratic attention into weights: squared ReLU, softmax or Laplace."),
  gate: z
    .boolean()
    .default(true)
    .describe("Whether a gated unit has its gate; without it a wider expansion makes up for it."),
  tokenShift: z
    .boolean()
    .default(false)
    .describe("Whether half of a gated unit's normalised input comes from the token before."),
  ...gammaField,
  ...outputMapsField,
  norm: z.enum(["scale", "layer"]).default("scale").describe("ScaleNorm or LayerNorm in a gated unit."),
  rotaryWidth: positive()
    .optional()
    .describe("How many of the s features of queries and keys RoPE rotates, an even number; default: all."),
};

export type GatedConfig = ConfigOf<typeof gatedUnitFields>;

/** The configuration of each gated attention unit of the model. */
export function unitConfig(config: GatedConfig): GatedUnitConfig {
  const { width, expansion, shared, norm, attentionFunction, gate, tokenShift, gamma, outputMaps } = config;
  return { width, expanded: width * expansion, shared, norm, attentionFunction, gate, tokenShift, gamma, outputMaps };
}

export function gatedUnitPreset({ width, layers, shared, chunk, context }: ModelSize) {
  const starts = { gamma: "normal", outputMaps: "zero", embedding: "normal", head: "own" };
  return { width, layers, expansion: 2, shared, chunk, maxLength: context, norm: "scale", ...starts };
}

/** `span` is that of the relative bias. */
export function* gatedUnitProblems(config: GatedConfig, span: number): Iterable<readonly [string, string]> {
  const { shared } = config;
  const rotated = rotaryWidth(config);
  if (shared % 2 !== 0) yield ["shared", "expected an even number"];
  if (rotated % 2 !== 0 || rotated > shared)
    yield ["rotaryWidth", `expected an even number of at most shared, ${shared}`];
  else if (rotated < shared && span >= ROTARY_BIAS_FROM)
    yield ["rotaryWidth", `expected shared, ${shared}: over ${span} tokens the relative bias is rotary, and needs all`];
}

/** Width of the vectors that RoPE rotates. */
export function rotaryWidth({ shared, rotaryWidth = shared }: GatedConfig): number {
  return rotaryWidth;
}

/** Without the gate the input map has e + s columns, not 2 e + s: e = 3 d has as many parameters as e = 2 d with it. */
const NO_GATE = { gate: false, expansion: 3 } as const;

/** What the paper varies (Hua, Dai, Liu, Le 2022, section 4), and what the community has added since. */
export const gatedUnitAblations = {
  softmax: { fields: { attentionFunction: "softmax" }, description: "Softmax instead of squared ReLU." },
  laplace: {
    fields: { attentionFunction: "laplace" },
    description: "Mega's Laplace function instead of squared ReLU.",
  },
  "no-gate": { fields: NO_GATE, description: "No gate; three times the width, for the same parameters." },
  "softmax-no-gate": {
    fields: { ...NO_GATE, attentionFunction: "softmax" },
    description: "Softmax and no gate: single-head attention with one wide value.",
  },
  "token-shift": { fields: { tokenShift: true }, description: "Half of each layer's input from the token before." },
  "layer-norm": { fields: { norm: "layer" }, description: "LayerNorm instead of ScaleNorm." },
} as const satisfies Record<string, Ablation>;
