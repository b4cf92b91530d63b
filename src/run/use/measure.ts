/**
 * The measurements of a model on a text, as evaluate.ts and evaluate-whole.ts combine them: in windows that each begin
 * anew, and by whole documents. Every token is predicted, the first of each document from the end-of-text token before it.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LonghandError } from "../../base/errors.ts";
import { refuseTextOptions } from "../../config/corpora.ts";
import { documentStartOf, maskingOf, type TrainedConfig } from "../../config/trained-config.ts";
import { openShards, type TokenShards, writeShards } from "../../data/shards.node.ts";
import { type CorpusOptions, openCorpus } from "../../data/sources/corpus.ts";
import { precededBy } from "../../data/token-sequence.ts";
import type { TextTokenizer } from "../../data/tokenizer.node.ts";
import { carriedState } from "../../models/carry.ts";
import { modelOf } from "../../models/language-model.ts";
import { architectureOf } from "../../models/registry.ts";
import type { CarriedState } from "../../nn/past.ts";
import {
  createEvaluator,
  type Evaluation,
  type Evaluator,
  evaluationShape,
  type TextLoss,
} from "../../train/evaluate.ts";
import { createWholeEvaluator, type WholeEvaluation } from "../../train/whole.ts";
import { preparedParts } from "../data/run-tokens.ts";
import { requireEvaluationMemory, requireWholeMemory } from "../machine/memory.ts";
import type { LoadedModel } from "./model.ts";

/** Measures a text; `onProgress` gets the share done, 0 … 1. */
export type Measurement<Result> = (text: TokenShards, onProgress?: (done: number) => void) => Promise<Result>;

/** Throws "usage" for a run of the other objective, naming the function that measures it. */
export function requireObjective(
  { path, config }: LoadedModel,
  objective: TrainedConfig["training"]["objective"],
  other: string,
): void {
  const got = config.training.objective;
  if (got === objective) return;
  throw new LonghandError(
    "usage",
    `${path}: expected the ${objective} objective, got ${got}; measure it with ${other}`,
  );
}

/**
 * In windows of the context, each of which begins anew: consecutive ones, or such as lie `stride` tokens apart, of which
 * each counts the tokens that none before it has. Throws "usage" at once for a context that the model cannot read, and for
 * one that needs more memory than there is.
 */
export function inWindows(
  { config, tokenizer, parameters, engine }: LoadedModel,
  context: number,
  stride = context,
): Measurement<Evaluation> {
  const longest = architectureOf(config.model).maxLength(config.model);
  if (context > longest) {
    const problem = `this ${config.model.architecture} model is made for at most ${longest} tokens`;
    throw new LonghandError("usage", `\`context\` ${context}: ${problem}`);
  }
  const built = requireEvaluationMemory(config, { context, device: engine.device });
  const how = { masking: maskingOf(config, tokenizer), endOfText: documentStartOf(config, tokenizer) };
  return async (text, onProgress) => {
    const sequence = precededBy(tokenizer.special.endOfText, text);
    const length = Math.min(context, sequence.tokens - 1);
    const options = { ...how, built: length === context ? built : undefined, stride: Math.min(stride, length) };
    const evaluator = await createEvaluator(engine, modelOf(config.model), evaluationShape(length), options);
    return measured(evaluator, (own) => own.run(parameters, sequence, goingOn(onProgress)));
  };
}

/**
 * By whole documents, each read from its first token to its last, in memory that does not depend on its length. `distant`
 * false: without the distant half of the model's layers. The model must be able to (models/carry.ts). Throws "usage" at
 * once when there is too little memory.
 */
export function byDocument(
  { config, tokenizer, parameters, engine }: LoadedModel,
  { distant = true }: { readonly distant?: boolean } = {},
): Measurement<WholeEvaluation> {
  const carried = carriedState(config.model) as CarriedState;
  const { endOfText } = tokenizer.special;
  const built = distant ? requireWholeMemory(config, engine.device) : undefined; // without it the program is smaller
  return (text, onProgress) => {
    const evaluator = createWholeEvaluator(engine, modelOf(config.model, { distant }), { carried, endOfText, built });
    const sequence = precededBy(endOfText, text);
    return measured(evaluator, (own) => own.run(parameters, sequence, goingOn(onProgress)));
  };
}

const goingOn = (onProgress?: (done: number) => void) => (done: number) => {
  onProgress?.(done);
  return true;
};

function measured<Result extends TextLoss>(
  evaluator: Evaluator<Result>,
  run: (evaluator: Evaluator<Result>) => Promise<Result>,
): Promise<Result> {
  return run(evaluator).finally(() => evaluator.release());
}

export interface TextPerplexity {
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
}

export function perplexityOf({ loss, totalLoss, tokens }: TextLoss, { words, bytes }: TokenShards): TextPerplexity {
  const wordPerplexity = Math.exp(totalLoss / Math.max(1, words));
  const bitsPerByte = totalLoss / Math.LN2 / bytes;
  return { loss, perplexity: Math.exp(loss), wordPerplexity, bitsPerByte, tokens, words, bytes };
}

/** Token shards are read where they are; the tokens of a text are written to a temporary folder first. */
export async function withShards<Result>(
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
