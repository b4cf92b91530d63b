/** Which models can go on from window to window of a text, and what they hand on (nn/past.ts). */
import { type CarriedState, carriedEntries } from "../nn/past.ts";
import type { ModelConfig } from "./architecture.ts";
import { parseModelConfig } from "./config.ts";
import { presetModel } from "./presets.ts";
import { architectureNames, architectureOf } from "./registry.ts";

/** What a model hands on; undefined for one that cannot, among them every bidirectional one. */
export function carriedState(config: ModelConfig): CarriedState | undefined {
  const architecture = architectureOf(config);
  if (!config.causal) return undefined;
  const layers = Array.from({ length: config.layers }, (_, i) => architecture.layer(config, i).recurrence);
  const entries = carriedEntries(layers);
  const spans = new Set(layers.map((layer) => layer?.span));
  const [span = 1] = spans;
  if (entries === undefined || spans.size > 1) return undefined;
  return { entries, span, rotaryPairs: architecture.rotaryWidth(config) / 2, width: config.width };
}

/** Why a model cannot read a text window by window, as a sentence. */
export function carryProblem(config: ModelConfig): string | undefined {
  if (carriedState(config)) return undefined;
  if (!config.causal) return "a bidirectional model reads every window by itself";
  return `${config.architecture} cannot go on from window to window of a text; ${carrying().join(" and ")} can`;
}

/** The architectures that can. */
function carrying(): readonly string[] {
  return architectureNames().filter((name) => {
    const preset = presetModel(name, "nano", { context: 64 });
    return carriedState(parseModelConfig({ ...preset, vocabSize: 2 })) !== undefined;
  });
}
