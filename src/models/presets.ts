/** Sizes by name. Two gated attention units stand for one attention + feed-forward pair, so base has 24 layers. */
import { LonghandError, nearest } from "../base/errors.ts";

export interface Preset {
  readonly width: number;
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
