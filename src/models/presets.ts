/** Sizes by name: a preset gives the size of a model, from which each architecture derives its own fields. */
import { LonghandError, nearest } from "../base/errors.ts";
import { ablationFields } from "./ablations.ts";
import type { ModelSize } from "./architecture.ts";
import { architectureByName, hasField } from "./registry.ts";

type Preset = Omit<ModelSize, "context">;

export const presets = {
  nano: { width: 128, layers: 4, shared: 32, chunk: 64 },
  tiny: { width: 256, layers: 6, shared: 64, chunk: 128 },
  small: { width: 512, layers: 12, shared: 128, chunk: 256 },
  base: { width: 768, layers: 24, shared: 128, chunk: 256 },
  large: { width: 1024, layers: 48, shared: 128, chunk: 256 },
} as const satisfies Record<string, Preset>;

export type PresetName = keyof typeof presets;

export const presetNames = Object.keys(presets) as PresetName[];

function presetByName(name: string): Preset {
  if (Object.hasOwn(presets, name)) return presets[name as PresetName];
  const guess = nearest(name, presetNames);
  throw new LonghandError(
    "usage",
    `\`preset\` ${name}: expected one of ${presetNames.join(", ")}${guess ? ` (did you mean ${guess}?)` : ""}`,
  );
}

interface PresetOptions {
  /** Tokens of a training example. */
  readonly context: number;
  /** Instead of the preset's, which is at most the context. */
  readonly chunk?: number | undefined;
  /** Of flash; default: mixed. */
  readonly attention?: string | undefined;
  /** What the distant half keeps (nn/distant-memory.ts). */
  readonly memory?: string | undefined;
  /** Names from ablations.ts, separated by commas. */
  readonly ablation?: string | undefined;
}

/**
 * The fields of a model of this architecture and size, all but the size of the vocabulary, for parseModelConfig. Throws
 * "usage" for an unknown architecture, preset or ablation, and for a chunk or attention that the architecture does not
 * have or that contradicts the ablation.
 */
export function presetModel(
  architecture: string,
  presetName: string,
  { context, ablation, ...options }: PresetOptions,
): Readonly<Record<string, unknown>> & { readonly architecture: string } {
  const size = presetByName(presetName);
  const ablated = ablation === undefined ? {} : ablationFields(architecture, ablation);
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  for (const [field, value] of Object.entries(given)) {
    if (!hasField(architecture, field)) {
      throw new LonghandError(
        "usage",
        `${field} ${value}: ${architecture} has no ${field === "chunk" ? "chunks" : "such choice"}`,
      );
    }
    if (field in ablated && ablated[field] !== value) {
      throw new LonghandError("usage", `ablation ${ablation}: it contradicts ${field} ${value}; give one of them`);
    }
  }
  const own = architectureByName(architecture).preset({ ...size, chunk: Math.min(size.chunk, context), context });
  return { architecture, ...own, ...given, ...ablated };
}
