/** What a user can set for an export. */
import { z } from "zod";
import { loadSettingsSchema } from "./use-settings.ts";

export const weightFormats = ["float32", "float16", "int8"] as const;
export type WeightFormat = (typeof weightFormats)[number];

export const exportSettingsSchema = z.strictObject({
  out: z.string().min(1).describe("Folder to write the export to.").meta({ value: "folder" }),
  weights: z
    .enum(weightFormats)
    .default("float32")
    .describe("How linear maps and tables are stored; int8: with a scale for each block of 32."),
  overwrite: z.boolean().default(false).describe("Replace an export that is there."),
  adapter: loadSettingsSchema.shape.adapter,
});

export type ExportSettings = z.input<typeof exportSettingsSchema>;
