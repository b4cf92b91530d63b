/** What a user can set for an export. */
import { z } from "zod";
import { loadSettingsSchema } from "./use-settings.ts";

export const exportSettingsSchema = z.strictObject({
  out: z.string().min(1).describe("Folder to write the export to.").meta({ value: "folder" }),
  overwrite: z.boolean().default(false).describe("Replace an export that is there."),
  adapter: loadSettingsSchema.shape.adapter,
});

export type ExportSettings = z.input<typeof exportSettingsSchema>;
