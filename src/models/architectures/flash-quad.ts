/** FLASH-Quad (Hua, Dai, Liu, Le 2022, section 2): gated attention units that attend over the whole sequence. */
import { flashQuad as flashQuadLayer } from "../../nn/flash-quad.ts";
import { defineArchitecture } from "../architecture.ts";
import {
  gatedUnitAblations,
  gatedUnitFields,
  gatedUnitPreset,
  gatedUnitProblems,
  rotaryWidth,
  unitConfig,
} from "./gated-unit-fields.ts";

export const flashQuad = defineArchitecture({
  name: "flash-quad",
  label: "FLASH-Quad",
  description: "gated attention units over the whole context",
  look: { light: "#a0522d", dark: "#e6a26b", symbol: "square", dashes: "6 3" },
  fields: gatedUnitFields,
  quadratic: true,
  bidirectional: true,
  preset: gatedUnitPreset,
  problems: (config) => gatedUnitProblems(config, config.maxLength),
  contextProblem: ({ maxLength }, context) =>
    context > maxLength ? `context ${context} exceeds the model's maxLength of ${maxLength}` : undefined,
  maxLength: ({ maxLength }) => maxLength,
  ablations: gatedUnitAblations,
  rotaryWidth,
  layer: (config) => flashQuadLayer({ ...unitConfig(config), maxLength: config.maxLength }),
});
