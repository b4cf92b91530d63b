/** Text from a loaded model: a decoder at the beginning, the prompt, then a stream of text. */
import { LonghandError } from "../../base/errors.ts";
import { type GeneratedPiece, generate as generateWith } from "../../generate/generate.ts";
import type { LoadedModel } from "./model.ts";

export interface GenerateTextOptions {
  /** What the text begins with; may be empty. */
  readonly prompt: string;
  /** The most tokens to write; default 200. */
  readonly tokens?: number | undefined;
  /** 0 always takes the likeliest token; default 0.8. */
  readonly temperature?: number | undefined;
  /** Only the k likeliest tokens; default: all. */
  readonly topK?: number | undefined;
  /** Only the likeliest tokens that together reach this probability; default 0.95. */
  readonly topP?: number | undefined;
  readonly seed?: number | undefined;
  /** The text ends before the first of these strings. */
  readonly stop?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

export const generateDefaults = { tokens: 200, temperature: 0.8, topP: 0.95, seed: 1 } as const;

/**
 * Streams the continuation of a prompt: pieces of text, at last a record of all of it. Nothing that was read or written is
 * ever computed again, and memory does not grow with the length (but for softmax Transformers and Combiner). Throws
 * "usage" for a wrong option, and for a model that fills in blanks.
 */
export async function* generate(
  model: LoadedModel,
  options: GenerateTextOptions,
): AsyncGenerator<GeneratedPiece, void, undefined> {
  const { config, tokenizer } = model;
  if (config.training.objective !== "causal") {
    throw new LonghandError(
      "usage",
      `${model.run}: it was trained with the ${config.training.objective} objective and fills in blanks: use longhand fill`,
    );
  }
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const decoder = await model.decoder();
  yield* generateWith({ ...generateDefaults, ...given, prompt: options.prompt, decoder, tokenizer });
}
