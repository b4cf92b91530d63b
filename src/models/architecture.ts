/**
 * An architecture as one record: everything that the rest of the package needs to know about it. Only its file in
 * architectures/ mentions its name; the registry holds the records, and configuration, presets, command line, decoding
 * and comparison derive from them.
 */
import { z } from "zod";
import type { Layer } from "../nn/layer.ts";

export const positive = () => z.number().int().positive();

/** The fields that every model has. */
export const commonFields = {
  vocabSize: positive().describe("Tokens of the vocabulary, special ones included."),
  width: positive().describe("d: width of the residual stream."),
  layers: positive().describe("Gated attention units or Transformer blocks."),
  causal: z.boolean().default(true).describe("Whether a token sees only itself and earlier tokens."),
  absolute: z
    .boolean()
    .default(true)
    .describe("Whether an embedding of absolute positions is added to that of the tokens, beside relative positions."),
  head: z
    .enum(["tied", "own"])
    .default("tied")
    .describe("The map to logits: the embedding's table, or one of its own, which starts at zero."),
  finalNorm: z
    .enum(["scale", "layer"])
    .optional()
    .describe("The norm before the map to logits: ScaleNorm, which is the default, or LayerNorm."),
  embedding: z
    .enum(["scaled", "normal"])
    .default("scaled")
    .describe(
      "Where the embedding and the scale of positions start: at 1 / sqrt(d), or at 0.02 as in the paper's code.",
    ),
} as const;

type FieldsOf<Own extends z.ZodRawShape> = z.output<z.ZodObject<typeof commonFields & Own>>;

/** A complete, checked configuration of an architecture with these fields of its own. */
export type ConfigOf<Own extends z.ZodRawShape> = { readonly architecture: string } & Readonly<FieldsOf<Own>>;

/** A complete, checked configuration of any architecture. Only its record knows its other fields. */
export type ModelConfig = ConfigOf<Record<never, never>> & { readonly [field: string]: unknown };

/** The size of a model: a preset and a training context. */
export interface ModelSize {
  readonly width: number;
  /** Gated attention units, two of which count as one Transformer block. */
  readonly layers: number;
  /** s: width of queries and keys of a gated unit. */
  readonly shared: number;
  /** C, at most the context. */
  readonly chunk: number;
  /** Tokens of a training example. */
  readonly context: number;
}

/** A variant by name: fields of the configuration that it sets. */
export interface Ablation {
  readonly fields: Readonly<Record<string, unknown>>;
  /** One sentence, for help. */
  readonly description: string;
}

/** In plots: a colour on light and on dark ground, a symbol, and the dashes of its lines (SVG stroke-dasharray). */
export interface Look {
  readonly light: string;
  readonly dark: string;
  readonly symbol: string;
  readonly dashes: string;
}

export interface ArchitectureRecord<Own extends z.ZodRawShape> {
  /** The name in --model. */
  readonly name: string;
  /** The name in reports. */
  readonly label: string;
  /** One sentence, for help. */
  readonly description: string;
  readonly look: Look;
  /** The fields of its configuration in addition to the common ones, each with a description, some with a default. */
  readonly fields: Own;
  /** Whether time and memory per token grow with the context. */
  readonly quadratic: boolean;
  /** Whether it can be bidirectional: `causal: false`, for masked prediction. */
  readonly bidirectional: boolean;
  /** Its fields for a size, without vocabSize and causal. */
  preset(size: ModelSize): Readonly<Record<string, unknown>>;
  /** Contradictions in a configuration: a field, and what is expected of it. */
  problems?(config: ConfigOf<Own>): Iterable<readonly [field: string, expected: string]>;
  /** Why it cannot be trained or evaluated in a context of so many tokens, as a sentence. */
  contextProblem?(config: ConfigOf<Own>, context: number): string | undefined;
  /** Tokens of the longest text that a model can read; default: no limit. */
  maxLength?(config: ConfigOf<Own>): number;
  /** Variants by name, for --ablation. */
  readonly ablations?: Readonly<Record<string, Ablation>>;
  /** Width of the vectors that RoPE rotates; 0 without RoPE. */
  rotaryWidth(config: ConfigOf<Own>): number;
  /** Layer number `index` of a stack. */
  layer(config: ConfigOf<Own>, index: number): Layer;
}

/** A record as the registry holds it, without the types of its own fields. */
export interface Architecture extends Omit<ArchitectureRecord<z.ZodRawShape>, ConfiguredMember> {
  problems(config: ModelConfig): Iterable<readonly [field: string, expected: string]>;
  contextProblem(config: ModelConfig, context: number): string | undefined;
  maxLength(config: ModelConfig): number;
  readonly ablations: Readonly<Record<string, Ablation>>;
  rotaryWidth(config: ModelConfig): number;
  layer(config: ModelConfig, index: number): Layer;
}

type ConfiguredMember = "problems" | "contextProblem" | "maxLength" | "ablations" | "rotaryWidth" | "layer";

/** Completes a record and erases the types of its own fields: it only gets configurations of its own schema. */
export function defineArchitecture<Own extends z.ZodRawShape>(record: ArchitectureRecord<Own>): Architecture {
  const own = (config: ModelConfig) => config as unknown as ConfigOf<Own>;
  return {
    ...record,
    problems: (config) => record.problems?.(own(config)) ?? [],
    contextProblem: (config, context) => record.contextProblem?.(own(config), context),
    maxLength: (config) => record.maxLength?.(own(config)) ?? Number.POSITIVE_INFINITY,
    ablations: record.ablations ?? {},
    rotaryWidth: (config) => record.rotaryWidth(own(config)),
    layer: (config, index) => record.layer(own(config), index),
  };
}
