/**
 * How surprising a text is to a loaded model, in bits: by token, by line and by document; and beside it what it is to
 * another. Each document is read once, from its first token to its last, in memory that does not depend on its length.
 */
import { parseSettings } from "../../config/fields.ts";
import { type ScoreSettings, scoreSettingsSchema } from "../../config/use-settings.ts";
import type { LoadedModel } from "../../use/loaded-model.ts";
import type { ScoreRecord } from "../../use/score/records.ts";
import { scorePieces, windowOf } from "../../use/score/score-pieces.ts";
import { openTexts, type TextOptions } from "./texts.ts";

/** `input` is what `-` stands for; default: standard input. Its complete lines are returned as they come. */
export interface ScoreOptions extends ScoreSettings, Omit<TextOptions, keyof ScoreSettings> {
  /** Another model to compare with, whatever its tokenizer. */
  readonly against?: LoadedModel | undefined;
}

/**
 * Scores texts under a causal model: a record of every line as it ends, before it of its tokens with `tokens`, and of every
 * document at its end. Each token is scored once, the first of a document from the end-of-text token. Memory is bounded;
 * softmax Transformers and Combiner, whose state would grow, read windows of their training context. Throws "usage" for a
 * wrong setting and for a masked model, "data" for text that cannot be read.
 */
export async function* score(model: LoadedModel, options: ScoreOptions): AsyncGenerator<ScoreRecord, void, undefined> {
  const { data, text, input, against, signal, onWarning, onDownload, ...given } = options;
  const { context, tokens, ...settings } = parseSettings(scoreSettingsSchema, given);
  const models = against === undefined ? [model] : [model, against];
  const windows = models.map((each) => windowOf(each, context));
  const texts = await openTexts({ data, text, input, signal, onWarning, onDownload, ...settings });
  try {
    yield* scorePieces(texts.pieces, { models, windows, tokens, signal });
  } finally {
    await texts.close();
  }
}
