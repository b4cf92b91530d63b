/**
 * What a model is: one object, validated in one place, saved whole with every run. An architecture has its own fields and
 * no others; contradictions are rejected here. Sizes by name are in presets.ts.
 */
import { z } from "zod";
import { LonghandError, nearest } from "../base/errors.ts";
import { attentionFunctionNames } from "../nn/attention-functions.ts";

export const gatedArchitectureNames = ["flash", "flash-quad"] as const;
export const transformerArchitectureNames = [
  "transformer",
  "transformer+",
  "transformer++",
  "mc-tfm++",
  "performer",
  "combiner",
] as const;
export const architectureNames = [...gatedArchitectureNames, ...transformerArchitectureNames] as const;
export type ArchitectureName = (typeof architectureNames)[number];

/** What FLASH attends with: both halves of mixed chunk attention, or one of them. */
export const attentionNames = ["mixed", "local", "global"] as const;
export type AttentionName = (typeof attentionNames)[number];

const positive = () => z.number().int().positive();

const fields = z.strictObject({
  architecture: z
    .enum(architectureNames)
    .describe("Which network: flash (linear cost), flash-quad, or one of the Transformers they are measured against."),
  vocabSize: positive().describe("Tokens of the vocabulary, special ones included."),
  width: positive().describe("d: width of the residual stream."),
  layers: positive().describe("Gated attention units, or pairs of attention and feed-forward, in a row."),
  expansion: positive().optional().describe("e / d: gated width over model width."),
  shared: positive().optional().describe("s: width of queries and keys of a gated unit."),
  heads: positive().optional().describe("H: heads of multi-head attention; they divide the width."),
  ffn: positive().optional().describe("Hidden width of the feed-forward network."),
  chunk: positive().optional().describe("C: tokens a chunk of mixed chunk attention, or a block of combiner."),
  features: positive().optional().describe("m: random features of performer's attention."),
  featureSeed: z
    .number()
    .int()
    .min(0)
    .optional()
    .describe("Seed of performer's random features, which are not trained."),
  maxLength: positive()
    .optional()
    .describe("n of flash-quad's scores / n and of its bias: the longest input it is made for."),
  attention: z
    .enum(attentionNames)
    .optional()
    .describe("Flash: mixed chunk attention, or its part inside chunks (local) or across them (global) alone."),
  attentionFunction: z
    .enum(attentionFunctionNames)
    .optional()
    .describe("What scores of a gated unit's quadratic attention become: squared ReLU, softmax or Laplace function."),
  gate: z
    .boolean()
    .optional()
    .describe("Whether a gated unit has its gate; without it a wider expansion makes up for it."),
  tokenShift: z
    .boolean()
    .optional()
    .describe("Whether half of a gated unit's normalised input comes from the token before."),
  norm: z.enum(["scale", "layer"]).optional().describe("ScaleNorm or LayerNorm in a gated unit."),
  causal: z.boolean().default(true).describe("Whether a token sees only what is before it."),
});

type Fields = z.infer<typeof fields>;
type Optional = Exclude<{ [K in keyof Fields]: undefined extends Fields[K] ? K : never }[keyof Fields], undefined>;

const GATED = [
  "expansion",
  "shared",
  "chunk",
  "maxLength",
  "attentionFunction",
  "gate",
  "tokenShift",
  "norm",
] as const satisfies Optional[];
const TRANSFORMER = ["heads", "ffn"] as const satisfies Optional[];

/** The fields that an architecture has beside the common ones: all of them, and no others. */
const fieldsOf = {
  flash: [...GATED, "attention"],
  "flash-quad": GATED,
  transformer: TRANSFORMER,
  "transformer+": TRANSFORMER,
  "transformer++": TRANSFORMER,
  "mc-tfm++": [...TRANSFORMER, "chunk"],
  performer: [...TRANSFORMER, "features", "featureSeed"],
  combiner: [...TRANSFORMER, "chunk"],
} as const satisfies Record<ArchitectureName, readonly Optional[]>;

const optionalFields = [...GATED, "attention", ...TRANSFORMER, "features", "featureSeed"] as const satisfies Optional[];
const defaults: Partial<Fields> = {
  expansion: 2,
  attention: "mixed",
  attentionFunction: "relu2",
  gate: true,
  tokenShift: false,
  norm: "scale",
  featureSeed: 1,
};

type ConfigOf<A extends ArchitectureName> = Omit<Fields, Optional | "architecture"> & { architecture: A } & {
  [K in (typeof fieldsOf)[A][number]]: Exclude<Fields[K], undefined>;
};

/** A complete, checked configuration of FLASH or FLASH-Quad. */
export type GatedModelConfig = ConfigOf<"flash"> | ConfigOf<"flash-quad">;

/** The same of a softmax Transformer or one of the efficient attentions in its frame. */
export type TransformerModelConfig = { [A in (typeof transformerArchitectureNames)[number]]: ConfigOf<A> }[Exclude<
  ArchitectureName,
  GatedModelConfig["architecture"]
>];

/** A complete, checked model configuration; `architecture` tells which fields there are. */
export type ModelConfig = GatedModelConfig | TransformerModelConfig;

export function isGated(config: ModelConfig): config is GatedModelConfig {
  return gatedArchitectureNames.some((name) => name === config.architecture);
}

/** Whether a field belongs to an architecture. */
export function hasField(architecture: ArchitectureName, field: string): boolean {
  return fieldsOf[architecture].some((own) => own === field) || !optionalFields.some((own) => own === field);
}

/** Checked together: after it, a value has exactly the fields of its architecture, and is a ModelConfig. */
export const modelConfigSchema = fields.overwrite(withDefaults).superRefine((config, context) => {
  for (const [field, message] of contradictions(config)) context.addIssue({ code: "custom", path: [field], message });
}) as typeof fields & z.ZodType<ModelConfig>;

function withDefaults(config: Fields): Fields {
  const own = Object.entries(defaults).filter(([field]) => hasField(config.architecture, field));
  return { ...Object.fromEntries(own), ...config } as Fields;
}

/** What does not go together, as a field and what is expected of it. */
function* contradictions(config: Fields): Iterable<[field: string, expected: string]> {
  const { architecture, width, heads, shared, attention, attentionFunction } = config;
  for (const field of optionalFields) {
    const given = config[field] !== undefined;
    if (given !== hasField(architecture, field))
      yield [field, given ? `${architecture} has no such field` : `${architecture} needs it`];
  }
  if (width % 2 !== 0) yield ["width", "expected an even number"];
  if (shared !== undefined && shared % 2 !== 0) yield ["shared", "expected an even number"];
  if (attention === "global" && attentionFunction !== "relu2" && attentionFunction !== undefined) {
    yield ["attentionFunction", "expected relu2 with attention global, which has no quadratic part"];
  }
  if (heads === undefined) return;
  if (width % heads !== 0) yield ["heads", `expected a divisor of the width ${width}`];
  else if (architecture !== "transformer" && (width / heads) % 2 !== 0) {
    yield ["heads", `expected heads of even width for rotary positions, width ${width} gives ${width / heads}`];
  }
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
