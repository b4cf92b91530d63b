/**
 * What is known of a trained model wherever it is used: the part of a run's configuration that goes with its weights. It says
 * nothing of the text that the model was trained on, nor of the machine.
 */
import { z } from "zod";
import { LonghandError } from "../base/errors.ts";
import type { MaskingVocabulary } from "../data/masking.ts";
import { carriedState, carryProblem } from "../models/carry.ts";
import { modelConfigSchema } from "../models/config.ts";
import { architectureOf } from "../models/registry.ts";
import { exampleFields } from "./example-fields.ts";
import { saved } from "./fields.ts";

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

/** Throws "usage" for contradictions between its fields. */
export function checkTrained({ model, training }: TrainedConfig): void {
  const wanted = training.objective === "causal";
  if (model.causal !== wanted) {
    const why = wanted
      ? "a model that sees the next token cannot learn to predict it"
      : "blanks are filled from both sides";
    throw new LonghandError(
      "usage",
      `model.causal ${model.causal}: expected ${wanted} with the ${training.objective} objective (${why}); choose by \`objective\``,
    );
  }
  const problem = architectureOf(model).contextProblem(model, training.context);
  if (problem !== undefined) throw new LonghandError("usage", problem);
  if (training.carry) requireCarry(model, training);
}

function requireCarry(model: TrainedConfig["model"], { context, objective }: TrainedConfig["training"]): void {
  const refuse = (problem: string) => new LonghandError("usage", `\`carry\`: ${problem}`);
  if (objective === "masked")
    throw refuse("expected the causal objective, got masked, whose windows are each read whole");
  const problem = carryProblem(model);
  if (problem !== undefined) throw refuse(problem);
  const span = carriedState(model)?.span ?? 1;
  if (context % span === 0) return;
  const above = span * Math.ceil(context / span);
  throw refuse(
    `expected a context that is a multiple of the chunk, ${span}, got ${context}; give \`context\` ${above}`,
  );
}
