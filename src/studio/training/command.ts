/** The command line of a training that is asked for, and the form that asks: both from the schemas of the settings. */
import { join } from "node:path";
import { z } from "zod";
import { LonghandError } from "../../base/errors.ts";
import { parseSettings } from "../../config/fields.ts";
import { flagOf, flagWords } from "../../config/flags.ts";
import { resumeSettingsSchema, trainSettingsSchema } from "../../config/train-settings.ts";
import { defaultRunFolder } from "../../run/data/corpora.ts";
import type { CommandLine, JsonSchema, TrainingForm } from "../api.ts";
import { newPlaceBelow, placeBelow } from "../runs/places.ts";
import { commandLine } from "./shell.ts";

type Settings = Readonly<Record<string, unknown>>;

/** What is asked for, as it comes: fields are checked with all others, by the schema of the settings. */
export const trainingRequestSchema = z.strictObject({
  resume: z.string().optional(),
  settings: z.record(z.string(), z.unknown()).default({}),
});

export function trainingForm(): TrainingForm {
  return {
    settings: jsonSchemaOf(trainSettingsSchema),
    resume: jsonSchemaOf(resumeSettingsSchema),
    flags: Object.fromEntries(Object.keys(trainSettingsSchema.shape).map((field) => [field, flagOf(field)])),
  };
}

function jsonSchemaOf(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, { io: "input" }) as JsonSchema;
}

/**
 * The words after `longhand` for a training below the folder, and where its run will be. Throws "usage" as the training
 * would for a wrong setting, 400 for a place outside of the folder, 404 for a run that is not there.
 */
export async function trainingCommand(
  folder: string,
  { resume, settings }: z.infer<typeof trainingRequestSchema>,
): Promise<CommandLine> {
  const schema = resume === undefined ? trainSettingsSchema : resumeSettingsSchema;
  const given = Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== null && value !== ""));
  const { out, ...checked } = parseSettings(schema, given);
  const values = Object.fromEntries(Object.entries(checked).filter(([name]) => name in given));
  const run = String(out ?? resume ?? nameFor(values));
  await newPlaceBelow(folder, run);
  if (resume !== undefined) await placeBelow(folder, resume);
  refuseInput(values);
  const place =
    resume === undefined ? ["--out", join(folder, run)] : out === undefined ? [] : ["--out", join(folder, out)];
  const words = [
    ...["longhand", "train", ...(resume === undefined ? [] : ["--resume", join(folder, resume)])],
    ...Object.entries(values).flatMap(([name, value]) => wordsOf(schema, name, value)),
    ...place,
  ];
  return { line: commandLine(words), words, run };
}

function wordsOf(schema: z.ZodObject, name: string, value: unknown): string[] {
  const field = schema.shape[name] as z.ZodType;
  const { value: shown } = z.globalRegistry.get(field) ?? {};
  const isDefault = field instanceof z.ZodDefault && field.def.defaultValue === value;
  return isDefault ? [] : flagWords(name, value, { variadic: typeof shown === "string" && shown.endsWith("...") });
}

/** The name that `longhand train` gives a run itself. */
function nameFor({ data, mix }: Settings): string {
  const parts = [data ?? (mix as readonly string[] | string | undefined)].flat();
  const specs = parts.flatMap((part) => (typeof part === "string" ? [part.replace(/=[\d.]+$/, "")] : []));
  if (specs.length === 0)
    throw new LonghandError("usage", "`data` is missing: give a text to learn, or name the run by `out`");
  const whole = data === undefined ? specs : [Array.isArray(data) ? specs : specs[0]];
  return defaultRunFolder(whole).replace(/^runs[/\\]/, "");
}

/** A training that is started from a page has no standard input, and a command line takes a mixture as text. */
function refuseInput({ data, mix }: Settings): void {
  if ([data].flat().includes("-"))
    throw new LonghandError("usage", "`data` -: expected a path; a training that is started from a page has no input");
  if ([mix].flat().some((part) => typeof part === "object"))
    throw new LonghandError("usage", "`mix`: expected data=weight for each part");
}
