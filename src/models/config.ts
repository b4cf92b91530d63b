/**
 * What a model is: one object, validated in one place, saved whole with every run. Its contradictions are rejected
 * here; sizes by name are in presets.ts.
 */
import { z } from "zod";
import { LonghandError, nearest } from "../base/errors.ts";

export const architectureNames = ["flash", "flash-quad"] as const;
export type ArchitectureName = (typeof architectureNames)[number];

const positive = () => z.number().int().positive();

export const modelConfigSchema = z.strictObject({
  architecture: z.enum(architectureNames).describe("Which network: flash (linear cost) or flash-quad (quadratic)."),
  vocabSize: positive().describe("Tokens of the vocabulary, special ones included."),
  width: positive().describe("d: width of the residual stream."),
  layers: positive().describe("Gated attention units in a row."),
  expansion: positive().default(2).describe("e / d: gated width over model width."),
  shared: positive().describe("s: width of queries and keys."),
  chunk: positive().describe("C: tokens a chunk of mixed chunk attention."),
  maxLength: positive().describe("n of flash-quad's scores / n and of its bias: the longest input it is made for."),
  norm: z.enum(["scale", "layer"]).default("scale").describe("ScaleNorm or LayerNorm."),
  causal: z.boolean().default(true).describe("Whether a token sees only what is before it."),
});

/** A complete, checked model configuration. */
export type ModelConfig = z.infer<typeof modelConfigSchema>;

/** Checks a model configuration; the error names the field, its value and what is allowed. */
export function parseModelConfig(value: unknown): ModelConfig {
  const parsed = modelConfigSchema.safeParse(value);
  if (!parsed.success) throw new LonghandError("config", `model configuration: ${describeIssues(parsed.error, value)}`);
  const config = parsed.data;
  if (config.width % 2 !== 0)
    throw new LonghandError("config", `model.width: expected an even number, got ${config.width}`);
  if (config.shared % 2 !== 0)
    throw new LonghandError("config", `model.shared: expected an even number, got ${config.shared}`);
  return config;
}

/** A zod error as one sentence: each field, what was wrong, what was given. */
export function describeIssues(
  error: z.ZodError,
  value: unknown,
  nameOf: (field: string) => string = (field) => field,
): string {
  return error.issues
    .map((issue) => {
      const given = issue.path.reduce<unknown>(
        (at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key],
        value,
      );
      const name = issue.path.length === 0 ? "value" : nameOf(issue.path.join("."));
      if (issue.code === "unrecognized_keys") {
        const keys = issue.keys.map((key) => nameOf([...issue.path, key].join(".")));
        return `unknown field${keys.length > 1 ? "s" : ""} ${keys.join(", ")}`;
      }
      const wanted = issue.message.replace(/^Invalid (option|input): /, "");
      if (given === undefined) return `${name} is missing (${wanted.replace(/, received undefined$/, "")})`;
      const choices = issue.code === "invalid_value" ? issue.values.map(String) : [];
      const guess = typeof given === "string" ? nearest(given, choices) : undefined;
      return `${name} ${JSON.stringify(given)}: ${wanted}${guess ? ` (did you mean ${guess}?)` : ""}`;
    })
    .join("; ");
}
