/** What a user can set for an export. */
import { z } from "zod";
import { evaluateSettingsSchema, loadSettingsSchema } from "./use-settings.ts";

export const weightFormats = ["float32", "float16", "int8"] as const;
export type WeightFormat = (typeof weightFormats)[number];

export const exportSettingsSchema = z.strictObject({
  out: z.string().min(1).describe("Folder to write the export to.").meta({ value: "folder" }),
  weights: z
    .enum(weightFormats)
    .default("float32")
    .describe("How linear maps and tables are stored; int8: with a scale for each block of 32."),
  data: evaluateSettingsSchema.shape.data
    .optional()
    .describe("Text to measure every format of weights on: loss, size and speed; default: none.")
    .meta({ value: "path" }),
  overwrite: z.boolean().default(false).describe("Replace an export that is there."),
  adapter: loadSettingsSchema.shape.adapter,
});

export type ExportSettings = z.input<typeof exportSettingsSchema>;
