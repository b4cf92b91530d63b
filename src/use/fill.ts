/** Filling in the blanks of a text with a loaded model that was trained with the masked objective. */
import { LonghandError } from "../base/errors.ts";
import { parseSettings } from "../config/fields.ts";
import { type FillOptions, fillSettingsSchema } from "../config/use-settings.ts";
import { SPECIAL_TOKENS } from "../data/tokenizer.ts";
import { fillBlanks } from "../generate/blanks.ts";
import { modelOf } from "../models/language-model.ts";
import type { LoadedModel } from "./loaded-model.ts";

export interface BlankCandidate {
  /** Usually begins with the space before the word. */
  readonly text: string;
  readonly token: number;
  readonly probability: number;
}

export interface FillResult {
  /** The text with the likeliest token in each blank. */
  readonly text: string;
  /** The likeliest tokens of each blank, the likeliest first. */
  readonly blanks: readonly (readonly BlankCandidate[])[];
}

/**
 * Fills every [MASK] of a text, each with one token. A space before a [MASK] belongs to it, since the tokens of words
 * begin with their space. What is between two blanks is tokenized by itself. A text longer than the training context is
 * read in windows around its blanks. Throws "usage" for a text without a [MASK] and for a model of the causal objective.
 */
export async function fill(model: LoadedModel, text: string, options: FillOptions = {}): Promise<FillResult> {
  const { config, engine, tokenizer } = model;
  const { topK } = parseSettings(fillSettingsSchema, options);
  if (config.training.objective !== "masked") {
    throw new LonghandError(
      "usage",
      `${model.path}: it was trained with the ${config.training.objective} objective and cannot fill in blanks: use longhand generate, or train with \`objective\` masked`,
    );
  }
  const pieces = text.split(SPECIAL_TOKENS.mask);
  if (pieces.length === 1) {
    throw new LonghandError("usage", `text: expected ${SPECIAL_TOKENS.mask} at each blank, got ${excerpt(text)}`);
  }
  const encoded = await tokenizer.encodeBatch(
    pieces.map((piece, i) => (i < pieces.length - 1 && piece.endsWith(" ") ? piece.slice(0, -1) : piece)),
  );
  const { mask } = tokenizer.special;
  const tokens = Int32Array.from(encoded.flatMap((ids, i) => (i === 0 ? [...ids] : [mask, ...ids])));
  const blanks = [...tokens.keys()].filter((at) => tokens[at] === mask);
  const candidates = await fillBlanks({
    engine,
    model: modelOf(config.model),
    parameters: Object.fromEntries(Object.entries(model.parameters).map(([path, { data }]) => [path, data])),
    tokens,
    blanks,
    context: config.training.context,
    topK,
    excluded: Object.values(tokenizer.special),
  });
  for (const [i, at] of blanks.entries()) tokens[at] = candidates[i][0].token;
  const named = candidates.map((own) =>
    Promise.all(
      own.map(async ({ token, probability }) => ({ text: await tokenizer.decode([token]), token, probability })),
    ),
  );
  return { text: await tokenizer.decode(tokens), blanks: await Promise.all(named) };
}

function excerpt(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
