/** Scores a text that a program has, or that comes to it part by part; without what reads files. */
import { LonghandError } from "../../base/errors.ts";
import { parseSettings } from "../../config/fields.ts";
import { type ScoreTextSettings, scoreTextSettingsSchema } from "../../config/use-settings.ts";
import { textInMemory } from "../../data/text-source.ts";
import type { LoadedModel } from "../loaded-model.ts";
import { arrivingPieces } from "./arriving.ts";
import type { ScoreRecord } from "./records.ts";
import { type ScorePiece, scorePieces, windowOf } from "./score-pieces.ts";

/** A text, or its parts in order: of those, complete lines are scored as soon as no more comes for a tenth of a second. */
export type GivenText = string | AsyncIterable<string>;

export interface ScoreTextOptions extends ScoreTextSettings {
  readonly text: GivenText;
  /** Another model to compare with, whatever its tokenizer. */
  readonly against?: LoadedModel | undefined;
  /** Ends reading: the document ends where it is. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Scores one document under a causal model: a record of every line as it ends, before it of its tokens with `tokens`, and of
 * the document at its end. Memory is bounded where the text comes in parts. Throws "usage" for a wrong setting and for a
 * masked model, "data" for a text that is empty or not well-formed.
 */
export async function* scoreText(
  model: LoadedModel,
  { text, against, signal, ...given }: ScoreTextOptions,
): AsyncGenerator<ScoreRecord, void, undefined> {
  const { context, tokens } = parseSettings(scoreTextSettingsSchema, given);
  const models = against === undefined ? [model] : [model, against];
  const windows = models.map((each) => windowOf(each, context));
  yield* scorePieces(textPieces(text, signal), { models, windows, tokens, signal });
}

/** One document. Throws "data" for an empty one, and for half of a surrogate pair. */
export function textPieces(text: GivenText, signal?: AbortSignal | undefined): AsyncGenerator<ScorePiece> {
  return typeof text === "string" ? piecesInMemory(text) : piecesArriving(text, "text", signal);
}

async function* piecesInMemory(whole: string): AsyncGenerator<ScorePiece> {
  const source = textInMemory("text", [whole]);
  for await (const { input, text, last } of source.pieces()) yield { path: source.inputs[input].path, text, last };
}

/** One document under a name. */
export async function* piecesArriving(
  parts: AsyncIterable<string>,
  path: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<ScorePiece> {
  let empty = true;
  for await (const piece of arrivingPieces(parts, { signal })) {
    empty = false;
    yield { path, ...piece, last: false };
  }
  if (empty && !signal?.aborted) throw new LonghandError("data", `data: ${path} is empty; give some text`);
}
