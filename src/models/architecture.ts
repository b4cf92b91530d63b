/**
 * An architecture as one record: all that the rest of the package asks about it. Its file in architectures/ is the only
 * place that knows its name; the registry holds the records, and configuration, presets, command line, decoding and
 * comparison derive from them.
 */
import { z } from "zod";
import type { Layer } from "../nn/layer.ts";

export const positive = () => z.number().int().positive();

/** The fields that every model has. */
export const commonFields = {
  vocabSize: positive().describe("Tokens of the vocabulary, special ones included."),
  width: positive().describe("d: width of the residual stream."),
  layers: positive().describe("Gated attention units, or pairs of attention and feed-forward, in a row."),
  causal: z.boolean().default(true).describe("Whether a token sees only what is before it."),
} as const;

type FieldsOf<Own extends z.ZodRawShape> = z.output<z.ZodObject<typeof commonFields & Own>>;

/** A complete, checked configuration of an architecture with these fields of its own. */
export type ConfigOf<Own extends z.ZodRawShape> = { readonly architecture: string } & Readonly<FieldsOf<Own>>;

/** A complete, checked configuration of any architecture. Only its record knows the fields beside these. */
export type ModelConfig = ConfigOf<Record<never, never>> & { readonly [field: string]: unknown };

/** What a preset and a training context say about a model. */
export interface ModelSize {
  readonly width: number;
  /** Of gated attention units, two of which stand for one pair of attention and feed-forward. */
  readonly layers: number;
  /** s: width of queries and keys of a gated unit. */
  readonly shared: number;
  /** C, not above the context. */
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

/** How plots show it: two colours, a symbol and the dashes of its lines (SVG stroke-dasharray). */
export interface Look {
  readonly light: string;
  readonly dark: string;
  readonly symbol: string;
  readonly dashes: string;
}

export interface ArchitectureRecord<Own extends z.ZodRawShape> {
  /** As in --model. */
  readonly name: string;
  /** As in a report. */
  readonly label: string;
  /** One sentence, for help. */
  readonly description: string;
  readonly look: Look;
  /** The fields of its configuration beside the common ones: each with a description, some with a default. */
  readonly fields: Own;
  /** Whether time and memory a token grow with the context. */
  readonly quadratic: boolean;
  /** Whether it can look both ways: with `causal: false`, to fill in blanks. */
  readonly bidirectional: boolean;
  /** Its fields of a size, without vocabulary and direction. */
  preset(size: ModelSize): Readonly<Record<string, unknown>>;
  /** What does not go together: a field, and what is expected of it. */
  problems?(config: ConfigOf<Own>): Iterable<readonly [field: string, expected: string]>;
  /** What keeps it from being trained or evaluated in a context of so many tokens: a sentence. */
  contextProblem?(config: ConfigOf<Own>, context: number): string | undefined;
  /** Longest text in tokens that a model is made for; default: there is no such length. */
  maxLength?(config: ConfigOf<Own>): number;
  /** Variants by name, for --ablation. */
  readonly ablations?: Readonly<Record<string, Ablation>>;
  /** Width of the vectors that RoPE turns; 0 where it turns none. */
  rotaryWidth(config: ConfigOf<Own>): number;
  /** Layer number `index` of a stack. */
  layer(config: ConfigOf<Own>, index: number): Layer;
}

/** A record with the types of its own fields erased, as the registry holds it. */
export interface Architecture extends Omit<ArchitectureRecord<z.ZodRawShape>, ConfiguredMember> {
  problems(config: ModelConfig): Iterable<readonly [field: string, expected: string]>;
  contextProblem(config: ModelConfig, context: number): string | undefined;
  maxLength(config: ModelConfig): number;
  readonly ablations: Readonly<Record<string, Ablation>>;
  rotaryWidth(config: ModelConfig): number;
  layer(config: ModelConfig, index: number): Layer;
}

type ConfiguredMember = "problems" | "contextProblem" | "maxLength" | "ablations" | "rotaryWidth" | "layer";

/** Completes a record and erases the types of its fields: the registry passes it configurations that its own schema made. */
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
