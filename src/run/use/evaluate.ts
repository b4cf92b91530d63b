/**
 * Perplexity of a text under a model: per token and per word, in bits per byte, and by position in the context. Every token
 * is predicted, the first of each document from the end-of-text token before it. A model of masked prediction is measured
 * on the tokens that a fixed masking selects: perplexity and accuracy.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LonghandError } from "../../base/errors.ts";
import { refuseTextOptions } from "../../config/corpora.ts";
import { parseSettings } from "../../config/fields.ts";
import { documentStartOf, maskingOf, type RunConfig } from "../../config/run-config.ts";
import { type EvaluateSettings, evaluateSettingsSchema } from "../../config/use-settings.ts";
import { openShards, type TokenShards, writeShards } from "../../data/shards.node.ts";
import { type CorpusOptions, openCorpus } from "../../data/sources/corpus.ts";
import { precededBy } from "../../data/token-sequence.ts";
import type { TextTokenizer } from "../../data/tokenizer.node.ts";
import { modelOf } from "../../models/language-model.ts";
import { architectureOf } from "../../models/registry.ts";
import { createEvaluator, type Evaluation, evaluationShape } from "../../train/evaluate.ts";
import { preparedParts } from "../data/run-tokens.ts";
import { requireEvaluationMemory } from "../machine/memory.ts";
import type { LoadedModel } from "./model.ts";

export interface EvaluateOptions extends EvaluateSettings {
  readonly onWarning?: ((message: string) => void) | undefined;
  readonly onDownload?: CorpusOptions["onDownload"];
  readonly onProgress?: (done: number) => void;
}

export interface PositionLoss {
  /** Positions from … to (exclusive) in the window. */
  readonly from: number;
  readonly to: number;
  readonly loss: number;
  readonly perplexity: number;
  readonly tokens: number;
}

export interface EvaluateResult {
  /** Mean nats a token. */
  readonly loss: number;
  /** exp(loss) */
  readonly perplexity: number;
  /** exp(total nats / white-space-separated words), as PG-19 asks to be reported. */
  readonly wordPerplexity: number;
  readonly bitsPerByte: number;
  readonly tokens: number;
  readonly words: number;
  readonly bytes: number;
  readonly context: number;
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

/** Measures a causal model. Throws "usage" for a masked one, which evaluateMasked measures, and for a wrong setting. */
export async function evaluate(model: LoadedModel, options: EvaluateOptions): Promise<EvaluateResult> {
  const { result, words, bytes, context } = await measure(model, options, "causal");
  const { loss, totalLoss, tokens } = result;
  return {
    ...{ loss, perplexity: Math.exp(loss), wordPerplexity: Math.exp(totalLoss / Math.max(1, words)) },
    bitsPerByte: totalLoss / Math.LN2 / bytes,
    ...{ tokens, words, bytes, context, byPosition: byPosition(result) },
  };
}

/** Measures a masked model. Throws "usage" for a causal one, which evaluate measures, and for a wrong setting. */
export async function evaluateMasked(model: LoadedModel, options: EvaluateOptions): Promise<MaskedEvaluateResult> {
  const { result, context } = await measure(model, options, "masked");
  const { loss, accuracy, tokens } = result;
  return { loss, perplexity: Math.exp(loss), accuracy, tokens, context, byPosition: byPosition(result) };
}

interface Measured {
  readonly result: Evaluation;
  readonly words: number;
  readonly bytes: number;
  readonly context: number;
}

async function measure(
  model: LoadedModel,
  options: EvaluateOptions,
  objective: RunConfig["training"]["objective"],
): Promise<Measured> {
  const { run, config, tokenizer, parameters, engine } = model;
  const { onWarning, onDownload, onProgress, ...settings } = options;
  const { data, context = config.training.context, ...reading } = parseSettings(evaluateSettingsSchema, settings);
  if (config.training.objective !== objective) {
    const got = `got ${config.training.objective}; measure it with ${objective === "causal" ? "evaluateMasked" : "evaluate"}`;
    throw new LonghandError("usage", `${run}: expected the ${objective} objective, ${got}`);
  }
  const longest = architectureOf(config.model).maxLength(config.model);
  if (context > longest) {
    const problem = `this ${config.model.architecture} model is made for at most ${longest} tokens`;
    throw new LonghandError("usage", `\`context\` ${context}: ${problem}`);
  }
  const built = requireEvaluationMemory(config, context);
  const how = { masking: maskingOf(config, tokenizer), endOfText: documentStartOf(config, tokenizer) };
  return withShards(data, { ...reading, onWarning, onDownload }, tokenizer, async (shards) => {
    const sequence = precededBy(tokenizer.special.endOfText, shards);
    const length = Math.min(context, sequence.tokens - 1);
    const evaluator = await createEvaluator(engine, modelOf(config.model), evaluationShape(length), {
      ...how,
      built: length === context ? built : undefined,
    });
    try {
      const result = await evaluator.run(parameters, sequence, (done) => {
        onProgress?.(done);
        return true;
      });
      return { result, words: shards.words, bytes: shards.bytes, context };
    } finally {
      await evaluator.release();
    }
  });
}

/** Token shards are read where they are; the tokens of a text are written to a temporary folder first. */
async function withShards<Result>(
  data: string,
  reading: CorpusOptions,
  tokenizer: TextTokenizer,
  use: (shards: TokenShards) => Promise<Result>,
): Promise<Result> {
  const parts = preparedParts(data);
  if (parts !== undefined) {
    const { field, split, limit } = reading;
    refuseTextOptions(data, { field, split, limit });
    const shards = await openShards(parts.validation ?? (parts.train as string), { tokenizerDigest: tokenizer.digest });
    return use(shards).finally(() => shards.close());
  }
  const corpus = await openCorpus(data, reading);
  const folder = await mkdtemp(join(tmpdir(), "longhand-eval-"));
  try {
    const [first] = corpus.splits.values();
    const source = corpus.splits.get("validation") ?? first;
    await writeShards({ source, tokenizer, out: folder, journalEveryMs: Number.POSITIVE_INFINITY });
    const shards = await openShards(folder);
    return await use(shards).finally(() => shards.close());
  } finally {
    await corpus.close();
    await rm(folder, { recursive: true, force: true });
  }
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
