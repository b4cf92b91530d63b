/**
 * What is known of a trained model wherever it is used: the part of a run's configuration that goes with its weights. It says
 * nothing of the text that the model was trained on, nor of the machine.
 */
import { z } from "zod";
import type { MaskingVocabulary } from "../data/masking.ts";
import { modelConfigSchema } from "../models/config.ts";
import { saved } from "./fields.ts";
import { exampleFields } from "./train-settings.ts";

const { objective, context, documents, carry } = saved(exampleFields);

export const trainedConfigSchema = z.strictObject({
  model: modelConfigSchema,
  training: z.strictObject({ objective, context, documents, carry }),
});

export type TrainedConfig = z.infer<typeof trainedConfigSchema>;

/** What masking needs when the model fills in blanks; undefined for a causal one. */
export function maskingOf(
  { training }: Pick<TrainedConfig, "training">,
  tokenizer: MaskingVocabulary,
): MaskingVocabulary | undefined {
  const { vocabSize, special } = tokenizer;
  return training.objective === "masked" ? { vocabSize, special } : undefined;
}

/** The token at which a document begins, where documents are kept apart; undefined where they are joined. */
export function documentStartOf(
  { training }: Pick<TrainedConfig, "training">,
  { special }: MaskingVocabulary,
): number | undefined {
  return training.documents === "separate" ? special.endOfText : undefined;
}
