/** What a user can set for the studio. */
import { z } from "zod";
import { whole } from "./fields.ts";
import { loadSettingsSchema } from "./use-settings.ts";

export const studioSettingsSchema = z.strictObject({
  port: whole(0).max(65535).default(8090).describe("Port to listen on, of this machine alone; 0: any that is free."),
  device: loadSettingsSchema.shape.device,
  threads: loadSettingsSchema.shape.threads,
});

export type StudioSettingsInput = z.input<typeof studioSettingsSchema>;
