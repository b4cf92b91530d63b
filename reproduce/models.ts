/** The models of a comparison: architectures of one preset, made for a context, with or without an ablation. */
import {
  type ArchitectureName,
  type ModelConfig,
  type PresetName,
  presets,
  type RunConfig,
  type TrainSettingsInput,
} from "longhand";
import { parseModelConfig, presetModel, trainingMemory } from "longhand/models";
import { parseTrainSettings, resolveConfig, thisMachine } from "longhand/train";
import type { Costs } from "./costs.ts";
import { RECALL_VOCABULARY } from "./recall-windows.ts";

interface ModelChoice {
  readonly model: ArchitectureName;
  readonly ablation?: string | null;
  readonly preset: PresetName;
  readonly context: number;
  readonly vocabSize: number;
  readonly objective: RunConfig["training"]["objective"];
}

export function modelConfig({ model, ablation, preset, context, vocabSize, objective }: ModelChoice): ModelConfig {
  const fields = presetModel(model, preset, { context, ablation: ablation ?? undefined });
  return parseModelConfig({ ...fields, vocabSize, causal: objective === "causal" });
}

/** Models of the section recall have this size whatever that of the others: its windows need no more. */
const RECALL_PRESET = "nano";
/** Tokens of their training windows: four chunks of that size. */
export const RECALL_CONTEXT = 4 * presets[RECALL_PRESET].chunk;

export function recallModel(choice: Pick<ModelChoice, "model" | "ablation" | "context">): ModelConfig {
  return modelConfig({ ...choice, preset: RECALL_PRESET, vocabSize: RECALL_VOCABULARY, objective: "causal" });
}

/** A training with these settings, and the defaults of `longhand train` for all others. */
export function trainingOf(fields: Omit<TrainSettingsInput, "data">): RunConfig["training"] {
  return resolveConfig(parseTrainSettings({ data: "-", ...fields }), thisMachine()).training;
}

/** Peak bytes of a process that trains a causal model with so many tokens a step; memoised. */
export function memoryEstimate(preset: PresetName, vocabSize: number): Costs["bytes"] {
  const known = new Map<string, number>();
  return (model, context, tokens, recompute) => {
    const key = `${model} ${context} ${tokens} ${recompute}`;
    const config = () => modelConfig({ model, preset, context, vocabSize, objective: "causal" });
    const batch = Math.max(1, Math.floor(tokens / context));
    const bytes =
      known.get(key) ?? trainingMemory({ model: config(), recompute, batch, context, accumulate: 1, evaluated: false });
    known.set(key, bytes);
    return bytes;
  };
}
