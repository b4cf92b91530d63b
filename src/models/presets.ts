/**
 * Sizes by name. Two gated attention units stand for one attention + feed-forward pair, so base has 24 layers and the
 * Transformers of that size 12; their feed-forward network is as wide as makes the parameters of both the same.
 */
import { LonghandError, nearest } from "../base/errors.ts";
import { type AblationFields, ablationFields } from "./ablations.ts";
import { type ArchitectureName, type AttentionName, hasField } from "./config.ts";

export interface Preset {
  readonly width: number;
  /** Of gated attention units; Transformers have half as many pairs. */
  readonly layers: number;
  readonly shared: number;
  readonly chunk: number;
}

export const presets = {
  nano: { width: 128, layers: 4, shared: 32, chunk: 64 },
  tiny: { width: 256, layers: 6, shared: 64, chunk: 128 },
  small: { width: 512, layers: 12, shared: 128, chunk: 256 },
  base: { width: 768, layers: 24, shared: 128, chunk: 256 },
  large: { width: 1024, layers: 48, shared: 128, chunk: 256 },
} as const satisfies Record<string, Preset>;

export type PresetName = keyof typeof presets;

export const presetNames = Object.keys(presets) as PresetName[];

export function presetByName(name: string): Preset {
  if (Object.hasOwn(presets, name)) return presets[name as PresetName];
  const guess = nearest(name, presetNames);
  throw new LonghandError(
    "usage",
    `--preset ${name}: expected one of ${presetNames.join(", ")}${guess ? ` (did you mean ${guess}?)` : ""}`,
  );
}

export interface PresetOptions {
  /** Tokens of a training example. */
  readonly context: number;
  /** Instead of the preset's, which shrinks with a short context. */
  readonly chunk?: number | undefined;
  /** Of flash; default: mixed. */
  readonly attention?: AttentionName | undefined;
  /** Names from ablations.ts, separated by commas. */
  readonly ablation?: string | undefined;
}

/**
 * The fields of a model of this architecture and size, without the vocabulary: what parseModelConfig completes. Throws
 * "usage" for an unknown preset or ablation, or a chunk or a choice of attention where there is none or an ablation has
 * made it.
 */
export function presetModel(architecture: ArchitectureName, presetName: string, options: PresetOptions) {
  const { context, ablation } = options;
  const ablated = ablation === undefined ? {} : ablationFields(architecture, ablation);
  const { chunk, attention } = { ...ablated, ...givenFields(options, ablated) };
  const { shared, ...preset } = presetByName(presetName);
  if (chunk !== undefined && !hasField(architecture, "chunk")) {
    throw new LonghandError("usage", `chunk ${chunk}: ${architecture} has no chunks`);
  }
  if (attention !== undefined && !hasField(architecture, "attention")) {
    throw new LonghandError("usage", `attention ${attention}: ${architecture} has no such choice, flash has`);
  }
  const { width, layers } = preset;
  const chunks = hasField(architecture, "chunk") ? { chunk: chunk ?? Math.min(preset.chunk, context) } : {};
  if (hasField(architecture, "shared")) {
    const { chunk } = { chunk: preset.chunk, ...chunks };
    const part = attention === undefined ? {} : { attention };
    const sizes = { width, layers, expansion: 2, shared, chunk, maxLength: context };
    return { architecture, ...sizes, ...part, norm: "scale", ...ablated } as const;
  }
  const heads = width / headWidth(width);
  const ffn = feedForwardWidth(width, shared, architecture === "transformer" || architecture === "transformer+");
  const features = hasField(architecture, "features") ? { features: 4 * headWidth(width), featureSeed: 1 } : {};
  return { architecture, width, layers: layers / 2, heads, ffn, ...chunks, ...features } as const;
}

/** The chunk and the attention that were asked for by themselves, unless the ablations say otherwise. */
function givenFields({ chunk, attention, ablation }: PresetOptions, ablated: AblationFields) {
  const given = Object.entries({ chunk, attention }).filter(([, value]) => value !== undefined);
  for (const [field, value] of given) {
    const other = ablated[field as keyof AblationFields];
    if (other !== undefined && other !== value) {
      throw new LonghandError("usage", `ablation ${ablation}: it contradicts ${field} ${value}; give one of them`);
    }
  }
  return Object.fromEntries(given) as Pick<PresetOptions, "chunk" | "attention">;
}

/** 64 as in the papers; half of it at the smallest size, which would have two heads only. */
function headWidth(width: number): number {
  return width < 256 ? 32 : 64;
}

/**
 * Two gated units have 2 (6 d^2 + d s) parameters, attention 4 d^2: the rest, 8 d^2 + 2 d s, goes into the two d x ffn
 * matrices of a GELU network or the three of a GEGLU. Rounded to a multiple of 8.
 */
function feedForwardWidth(d: number, s: number, gelu: boolean): number {
  return 8 * Math.round((8 * d + 2 * s) / (gelu ? 2 : 3) / 8);
}
