/** The settings of a training in the order in which a person meets them: for help, and for a form. */
import type { TrainSettings } from "./train-settings.ts";

type Field = keyof TrainSettings;

/** The dozen that matter first. */
export const commonTrainFields: readonly Field[] = [
  ...(["data", "out", "preset", "model", "context", "batch", "steps"] as const),
  ...(["lr", "vocab", "from", "seed", "sample"] as const),
];

/** Every setting, once. */
export const trainGroups: readonly { readonly name: string; readonly fields: readonly Field[] }[] = [
  {
    name: "Data",
    fields: [
      ...(["data", "mix", "field", "split", "limit", "evalData", "evalFraction", "evalTokens"] as const),
      ...(["vocab", "tokenizer"] as const),
    ],
  },
  { name: "Model", fields: ["model", "preset", "objective", "chunk", "attention", "memory", "ablation"] },
  { name: "From a trained model", fields: ["from", "freeze", "adapter"] },
  {
    name: "Training",
    fields: [
      ...(["steps", "context", "batch", "accumulate", "documents", "carry", "carryEvery"] as const),
      ...(["lr", "warmup", "schedule", "cooldown", "optimizer", "weightDecay", "clip", "ema", "seed"] as const),
      "syncEvery",
    ],
  },
  {
    name: "Saving and telling",
    fields: ["out", "overwrite", "evalEvery", "saveEvery", "keep", "sample", "sampleTokens"],
  },
  { name: "Machine", fields: ["device", "threads", "recompute"] },
];
