/** Writes text with a loaded model. */
import { LonghandError } from "../base/errors.ts";
import { parseSettings } from "../config/fields.ts";
import { type GenerateSettings, generateSettingsSchema } from "../config/use-settings.ts";
import { type GeneratedPiece, generate as generateWith } from "../generate/generate.ts";
import type { LoadedModel } from "./loaded-model.ts";

export interface GenerateTextOptions extends GenerateSettings {
  /** What the text begins with; may be empty. */
  readonly prompt: string;
  /** Stops between two tokens. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Streams the continuation of a prompt: pieces of text, then one record of the whole. Each token is read once, and memory
 * does not grow with the length of the text, except for softmax Transformers and Combiner. Calls at the same time do not
 * disturb each other. Throws "usage" for a wrong setting and for a masked model.
 */
export async function* generate(
  model: LoadedModel,
  { prompt, signal, ...settings }: GenerateTextOptions,
): AsyncGenerator<GeneratedPiece, void, undefined> {
  const { config, tokenizer } = model;
  const options = parseSettings(generateSettingsSchema, settings);
  if (config.training.objective !== "causal") {
    throw new LonghandError(
      "usage",
      `${model.path}: it was trained with the ${config.training.objective} objective and fills in blanks: use longhand fill`,
    );
  }
  const decoder = await model.decoders.take();
  try {
    yield* generateWith({ ...options, prompt, signal, decoder, tokenizer });
  } finally {
    model.decoders.giveBack(decoder);
  }
}
