/**
 * `config.json` of an export: what is known of the trained model, the version that wrote it, and length and SHA-256 of every
 * other file but the README.
 */
import { z } from "zod";
import { LonghandError } from "../base/errors.ts";
import { describeIssues } from "../base/issues.ts";
import { whole } from "./fields.ts";
import { checkTrained, trainedConfigSchema } from "./trained-config.ts";

const sha256 = () => z.string().regex(/^[0-9a-f]{64}$/, "expected 64 hexadecimal digits");

const exportConfigSchema = z.strictObject({
  longhand: z.string().describe("Version that wrote it."),
  step: whole(0).describe("Optimiser steps behind the model."),
  tokenizerDigest: sha256(),
  bytesPerToken: z.number().positive().optional(),
  ...trainedConfigSchema.shape,
  files: z.record(
    // A name of a file in the folder itself, never a path.
    z.string().regex(/^[\w-][\w.-]*$/, "expected names of files"),
    z.strictObject({ bytes: whole(0), sha256: sha256() }),
  ),
});

export type ExportConfig = z.infer<typeof exportConfigSchema>;

/** No size of a model is larger. Some decide about tables that are made before anything is compared with the weights. */
const LARGEST_SIZE = 2 ** 22;
const LARGEST: Readonly<Record<string, number>> = { chunk: 8192, features: 8192 };

/** Throws "config" for what an export cannot have. */
export function parseExportConfig(value: unknown): ExportConfig {
  const parsed = exportConfigSchema.safeParse(value);
  if (!parsed.success) throw new LonghandError("config", describeIssues(parsed.error, value));
  checkSizes(parsed.data.model);
  checkTrained(parsed.data);
  return parsed.data;
}

function checkSizes(model: ExportConfig["model"]): void {
  for (const [field, value] of Object.entries(model)) {
    if (typeof value !== "number" || /seed$/i.test(field)) continue;
    const most = Object.hasOwn(LARGEST, field) ? LARGEST[field] : LARGEST_SIZE;
    if (value > most) throw new LonghandError("config", `model.${field} ${value}: expected at most ${most}`);
  }
}
