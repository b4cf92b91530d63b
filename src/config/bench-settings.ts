/** What a user can set for the measurement of their machine; what is left out is as in a training. */
import { z } from "zod";
import { type PresetName, presetNames } from "../models/presets.ts";
import { trainSettingsSchema } from "./train-settings.ts";

const { model, context, batch, threads, device } = trainSettingsSchema.shape;

export const benchSettingsSchema = z.strictObject({
  preset: z
    .array(z.enum(presetNames as [PresetName, ...PresetName[]]))
    .min(1)
    .default(presetNames)
    .describe("Sizes to measure; several may follow.")
    .meta({ value: "name..." }),
  ...{ model, context, batch },
  seconds: z
    .number()
    .positive()
    .default(60)
    .describe("About how long to measure in all. What does not fit into it is estimated, and marked."),
  ...{ threads, device },
});

export type BenchSettings = z.infer<typeof benchSettingsSchema>;
export type BenchSettingsInput = z.input<typeof benchSettingsSchema>;
