/** Performer (Choromanski et al. 2021) in the frame of Transformer++: softmax estimated by random features. */
import { z } from "zod";
import { favorAttention, orthogonalFeatures } from "../../nn/favor-attention.ts";
import { transformerBlock } from "../../nn/transformer-block.ts";
import { defineArchitecture, positive } from "../architecture.ts";
import { headWidth, rotaryTransformer, transformerFields, transformerPreset } from "./transformer-frame.ts";

export const performer = defineArchitecture({
  name: "performer",
  label: "Performer",
  description: "Transformer++ with softmax estimated by random features",
  look: { light: "#9a5fa0", dark: "#dda0e6", symbol: "times", dashes: "4 2" },
  fields: {
    ...transformerFields,
    features: positive().describe("m: random features of performer's attention."),
    featureSeed: z
      .number()
      .int()
      .min(0)
      .default(1)
      .describe("Seed of performer's random features, which are not trained."),
  },
  quadratic: false,
  ...rotaryTransformer,
  preset: (size) => ({ ...transformerPreset(size), features: 4 * headWidth(size.width), featureSeed: 1 }),
  layer({ width, heads, ffn, outputMaps, features: count, featureSeed }, index) {
    const features = orthogonalFeatures(count, width / heads, featureSeed, index);
    const attention = favorAttention({ width, heads, features, outputMaps });
    return transformerBlock({ attention, ffn, gated: true, outputMaps });
  },
});
