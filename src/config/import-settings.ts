/** What a user can set for the import of a model that another library trained. */
import { z } from "zod";
import { exportSettingsSchema } from "./export-settings.ts";
import { whole } from "./fields.ts";

export const importSettingsSchema = z.strictObject({
  out: exportSettingsSchema.shape.out.describe("Folder to write the model to, as an export."),
  overwrite: exportSettingsSchema.shape.overwrite,
  format: z.enum(["flash-pytorch"]).default("flash-pytorch").describe("The library whose model it is."),
  tokenizer: z
    .string()
    .min(1)
    .describe("The tokenizer.json that it was trained with; or bytes, for a vocabulary of the 256 bytes.")
    .meta({ value: "file" }),
  context: whole(1).default(1024).describe("Tokens of a window that it was trained on."),
});

export type ImportSettings = z.input<typeof importSettingsSchema>;
