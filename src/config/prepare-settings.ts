/** What a user can set for a preparation of text, and for a look at what was prepared. */
import { z } from "zod";
import { dataField, dataSpec, seed, textFields, tokenizerFields, whole } from "./fields.ts";

export const prepareSettingsSchema = z.strictObject({
  data: dataField("Text to prepare", dataSpec()),
  out: z.string().min(1).describe("Folder to write the token shards to.").meta({ value: "folder" }),
  ...textFields,
  ...tokenizerFields,
  seed: seed("the sample that the tokenizer is trained on"),
  threads: whole(1)
    .max(256)
    .optional()
    .describe("Threads that turn text into tokens; default: all processors, at most 16."),
});

export type PrepareSettings = z.infer<typeof prepareSettingsSchema>;
export type PrepareSettingsInput = z.input<typeof prepareSettingsSchema>;

export const inspectSettingsSchema = z.strictObject({
  samples: whole(1).default(3).describe("Documents to show."),
  seed: seed("their choice"),
});

export type InspectSettings = z.input<typeof inspectSettingsSchema>;
