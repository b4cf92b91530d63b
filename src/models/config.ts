/**
 * The configuration of a model: one object, validated here and saved whole with every run. It has the fields common to
 * all models and those of its architecture, no others (architecture.ts). Sizes by name are in presets.ts.
 */
import { z } from "zod";
import { LonghandError } from "../base/errors.ts";
import { describeIssues } from "../base/issues.ts";
import { type Architecture, commonFields, type ModelConfig } from "./architecture.ts";
import { architectureByName, architectureNameSchema, ownFieldNames } from "./registry.ts";

export type { ModelConfig } from "./architecture.ts";

/** The configuration of any registered architecture; the parsed value has exactly the fields of that architecture. */
export const modelConfigSchema: z.ZodType<ModelConfig> = z.unknown().transform((value, context) => {
  const parsed = schemaFor(value).safeParse(value);
  if (parsed.success) return parsed.data as ModelConfig;
  for (const issue of parsed.error.issues) context.issues.push({ ...issue, input: value } as z.core.$ZodRawIssue);
  return z.NEVER;
});

function schemaFor(value: unknown): z.ZodType {
  const named = z.looseObject({ architecture: architectureNameSchema }).safeParse(value);
  if (!named.success) return z.looseObject({ architecture: architectureNameSchema });
  const record = architectureByName(named.data.architecture);
  const own = z.strictObject({ architecture: architectureNameSchema, ...commonFields, ...record.fields });
  return z
    .looseObject({})
    .superRefine((given, context) => {
      for (const [field, message] of fieldProblems(record, given))
        context.addIssue({ code: "custom", path: [field], message });
    })
    .pipe(own)
    .superRefine((config, context) => {
      for (const [field, message] of problems(record, config as ModelConfig))
        context.addIssue({ code: "custom", path: [field], message });
    });
}

/** Fields that belong to other architectures, and fields of this one that are missing. */
function* fieldProblems(
  { name, fields }: Architecture,
  given: Readonly<Record<string, unknown>>,
): Iterable<[string, string]> {
  for (const field of ownFieldNames()) {
    const own = Object.hasOwn(fields, field) ? (fields[field] as z.ZodType) : undefined;
    if (given[field] !== undefined && own === undefined) yield [field, `${name} has no such field`];
    if (given[field] === undefined && own?.safeParse(undefined).success === false) yield [field, `${name} needs it`];
  }
}

function* problems(record: Architecture, config: ModelConfig): Iterable<readonly [string, string]> {
  if (config.width % 2 !== 0) yield ["width", "expected an even number"];
  if (!config.causal && !record.bidirectional)
    yield ["causal", `expected true: ${record.name} cannot be bidirectional`];
  if (!config.absolute && record.rotaryWidth(config) === 0)
    yield ["absolute", `expected true: ${record.name} has no other positions`];
  yield* record.problems(config);
}

/** Every field that the configuration of any architecture can have. */
export function modelFieldNames(): readonly string[] {
  return ["architecture", ...Object.keys(commonFields), ...ownFieldNames()];
}

/** Checks a model configuration; the error names the field, its value and what is allowed. */
export function parseModelConfig(value: unknown): ModelConfig {
  const parsed = modelConfigSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new LonghandError(
    "config",
    `model configuration: ${describeIssues(parsed.error, value, (field) => `model.${field}`)}`,
  );
}
