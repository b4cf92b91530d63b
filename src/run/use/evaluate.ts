/**
 * Perplexity of a text under a model: per token and per word, in bits per byte, and by position in the context. A model of
 * masked prediction is measured on the tokens that a fixed masking selects: perplexity and accuracy.
 */
import { LonghandError } from "../../base/errors.ts";
import { parseSettings } from "../../config/fields.ts";
import { type EvaluateSettings, evaluateSettingsSchema } from "../../config/use-settings.ts";
import type { CorpusOptions } from "../../data/sources/corpus.ts";
import type { Evaluation } from "../../train/evaluate.ts";
import type { WholeEvaluation } from "../../train/whole.ts";
import { byDocument, inWindows, perplexityOf, requireObjective, type TextPerplexity, withShards } from "./measure.ts";
import type { LoadedModel } from "./model.ts";

export interface EvaluateOptions extends EvaluateSettings {
  readonly onWarning?: ((message: string) => void) | undefined;
  readonly onDownload?: CorpusOptions["onDownload"];
  readonly onProgress?: (done: number) => void;
}

export interface PositionLoss {
  /** Positions from … to (exclusive) in the window, or in the document where documents are read whole. */
  readonly from: number;
  readonly to: number;
  readonly loss: number;
  readonly perplexity: number;
  readonly tokens: number;
}

export interface EvaluateResult extends TextPerplexity {
  /** Of a window, or of those in which the model was trained. */
  readonly context: number;
  /** Whether documents were read whole, as the model of a run with `carry` is measured. */
  readonly carried?: true;
  readonly byPosition: readonly PositionLoss[];
}

/** The result of masked prediction. It has nothing per word or byte, because only some tokens are predicted. */
export interface MaskedEvaluateResult {
  /** Mean nats a selected token. */
  readonly loss: number;
  /** exp(loss) */
  readonly perplexity: number;
  /** Share of the selected tokens to which the model gives the highest probability. */
  readonly accuracy: number;
  /** Tokens selected: 15 % of the text. */
  readonly tokens: number;
  readonly context: number;
  readonly byPosition: readonly PositionLoss[];
}

/**
 * Measures a causal model; that of a run with `carry` by whole documents, unless a context is given. Throws "usage" for a
 * masked one, which evaluateMasked measures, and for a wrong setting.
 */
export async function evaluate(model: LoadedModel, options: EvaluateOptions): Promise<EvaluateResult> {
  const { data, context, stride, reading } = settingsOf(options);
  requireObjective(model, "causal", "evaluateMasked");
  const { training } = model.config;
  if (training.carry && context === undefined) {
    if (stride !== undefined)
      throw noWindows(stride, "a model trained with `carry` reads documents whole; give `context` too");
    const measure = byDocument(model);
    return withShards(data, reading, model.tokenizer, async (text) => {
      const result = await measure(text, options.onProgress);
      return { ...perplexityOf(result, text), context: training.context, carried: true, byPosition: byRange(result) };
    });
  }
  const length = context ?? training.context;
  if (stride !== undefined && stride > length)
    throw new LonghandError(
      "usage",
      `\`stride\` ${stride}: expected at most the context of ${length}, or tokens are left out`,
    );
  const measure = inWindows(model, length, stride);
  return withShards(data, reading, model.tokenizer, async (text) => {
    const result = await measure(text, options.onProgress);
    return { ...perplexityOf(result, text), context: length, byPosition: byPosition(result) };
  });
}

/** Measures a masked model. Throws "usage" for a causal one, which evaluate measures, and for a wrong setting. */
export async function evaluateMasked(model: LoadedModel, options: EvaluateOptions): Promise<MaskedEvaluateResult> {
  const { data, context = model.config.training.context, stride, reading } = settingsOf(options);
  requireObjective(model, "masked", "evaluate");
  if (stride !== undefined) throw noWindows(stride, "a masked model sees both sides of a token in every window");
  const measure = inWindows(model, context);
  const result = await withShards(data, reading, model.tokenizer, (text) => measure(text, options.onProgress));
  const { loss, accuracy, tokens } = result;
  return { loss, perplexity: Math.exp(loss), accuracy, tokens, context, byPosition: byPosition(result) };
}

/** The settings of an evaluation, and with them how its text is read. */
export function settingsOf({ onWarning, onDownload, onProgress: _, ...settings }: EvaluateOptions) {
  const { data, context, stride, ...reading } = parseSettings(evaluateSettingsSchema, settings);
  return { data, context, stride, reading: { ...reading, onWarning, onDownload } };
}

/** For an evaluation in which windows do not overlap. */
export function noWindows(stride: number, why: string): LonghandError {
  return new LonghandError("usage", `\`stride\` ${stride}: expected none: ${why}`);
}

/** Positions in ranges that double: 0, 1, 2-3, 4-7, … */
export function byPosition({ lossByPosition, tokensByPosition }: Evaluation): PositionLoss[] {
  const ranges: PositionLoss[] = [];
  for (let from = 0; from < lossByPosition.length; from = Math.max(1, from * 2)) {
    const to = Math.min(lossByPosition.length, Math.max(1, from * 2));
    let loss = 0;
    let tokens = 0;
    for (let i = from; i < to; i++) {
      loss += lossByPosition[i];
      tokens += tokensByPosition[i];
    }
    if (tokens > 0) ranges.push({ from, to, loss: loss / tokens, perplexity: Math.exp(loss / tokens), tokens });
  }
  return ranges;
}

/** The same of whole documents. */
export function byRange({ lossByRange, tokensByRange }: WholeEvaluation): PositionLoss[] {
  return lossByRange.map((sum, range) => {
    const [tokens, from, to] = [tokensByRange[range], range === 0 ? 0 : 2 ** (range - 1), 2 ** range];
    return { from, to, loss: sum / tokens, perplexity: Math.exp(sum / tokens), tokens };
  });
}
