/**
 * Held-out loss without training, in consecutive windows of the context: of every token but the first, predicted once
 * from those before it; or, for a bidirectional model, of the tokens that a fixed masking selects.
 */
import type { HostArray } from "../base/dtype.ts";
import { LonghandError } from "../base/errors.ts";
import { type EvaluationRequest, evaluationBatches } from "../data/batches.ts";
import { documentsInWindows } from "../data/document-windows.ts";
import { type MaskingVocabulary, maskedBatch, mostMasked } from "../data/masking.ts";
import type { TokenSequence } from "../data/token-sequence.ts";
import type { DeviceTensor, Engine, HostArraysByName, InputsByName } from "../runtime/engine.ts";
import { alone, type Communicator, sumNumbers } from "./communicator.ts";
import {
  type BatchShape,
  evaluationProgram,
  type LossProgram,
  type Model,
  maskedEvaluationProgram,
} from "./objective.ts";
import { predictedIn } from "./predicted.ts";
import type { ModelParameters } from "./training-step.ts";

/** The loss of a text. */
export interface TextLoss {
  /** Mean nats a predicted token. */
  readonly loss: number;
  /** Sum of nats over all predicted tokens. */
  readonly totalLoss: number;
  /** Tokens predicted: all but the first, or those that were selected. */
  readonly tokens: number;
}

export interface Evaluation extends TextLoss {
  /** Share of the predicted tokens that the model held for the likeliest; with masking only, else NaN. */
  readonly accuracy: number;
  /** Sums of nats by position in the window, [context], and how many tokens each sums over. */
  readonly lossByPosition: Float64Array;
  readonly tokensByPosition: Float64Array;
}

export interface Evaluator<Result extends TextLoss = Evaluation> {
  /** `onProgress` gets the share done, 0 … 1; returning false stops and keeps what was evaluated. */
  run(
    parameters: ModelParameters,
    sequence: TokenSequence,
    onProgress?: (done: number) => boolean | undefined,
  ): Promise<Result>;
  release(): Promise<void>;
}

export interface EvaluatorOptions {
  /** Evaluates masked language modelling over this vocabulary. */
  readonly masking?: MaskingVocabulary | undefined;
  /** The token at which a document of its own begins; default: a window is one document. */
  readonly endOfText?: number | undefined;
  /** The program of the same model, shape and options, where it has been built before. */
  readonly built?: LossProgram | undefined;
  /** Tokens from the start of a window to that of the next, without masking; default: the context. */
  readonly stride?: number | undefined;
  /** Processes that each read a part of the text, and have the same result. Default: this one alone. */
  readonly communicator?: Communicator | undefined;
}

/** Tokens of one evaluation batch, about: enough to fill a matmul, few enough to stay small beside training. */
export const BATCH_TOKENS = 4096;

/** Seed of the masking by which all models are measured, at any time of their training. */
const MASKING_SEED = 15;

export function evaluationShape(context: number): BatchShape {
  return { batch: Math.max(1, Math.floor(BATCH_TOKENS / context)), context };
}

export async function createEvaluator(
  engine: Engine,
  model: Model,
  shape: BatchShape,
  { masking, endOfText, built, stride, communicator = alone }: EvaluatorOptions = {},
): Promise<Evaluator> {
  const programOf = masking ? maskedEvaluationProgram : evaluationProgram;
  const { program } = built ?? programOf(model, shape, { documents: endOfText !== undefined });
  const compiled = await engine.compile(program);
  const { context } = shape;
  const documentsOf = (tokens: Int32Array, real: Float32Array) =>
    endOfText === undefined ? {} : { documents: documentsInWindows({ tokens, context, endOfText, real }) };
  const evaluate = async (
    parameters: InputsByName,
    sequence: TokenSequence,
    onProgress?: (done: number) => boolean | undefined,
  ): Promise<Evaluation> => {
    const sums = new Float64Array(2 * context + 3);
    const lossByPosition = sums.subarray(0, context);
    const tokensByPosition = sums.subarray(context, 2 * context);
    const total = { loss: 0, correct: 0, tokens: 0 };
    let seen = 0;
    let index = 0;
    const batches = inputBatches({ sequence, ...shape, stride }, masking);
    for (const { inputs, real, places, predicted, counts, count } of batches) {
      seen += count;
      if (index++ % communicator.size !== communicator.rank) continue;
      const documents = documentsOf(inputs.tokens, real);
      const { losses, correct } = await compiled.run({ ...parameters, ...inputs, ...documents });
      for (let i = 0; i < predicted; i++) {
        if (counts?.[i] === 0) continue;
        const position = (places?.[i] ?? i) % context;
        total.loss += losses[i];
        if (masking !== undefined) total.correct += correct[i];
        total.tokens += 1;
        lossByPosition[position] += losses[i];
        tokensByPosition[position] += 1;
      }
      if (onProgress?.(seen / (sequence.tokens - 1)) === false) break;
    }
    sums.set([total.loss, total.correct, total.tokens], 2 * context);
    const summed = await sumNumbers(communicator, sums, { what: "the losses of an evaluation" });
    const [totalLoss, correct, tokens] = summed.subarray(2 * context);
    if (tokens === 0) {
      throw new LonghandError(
        "data",
        `evaluation: expected ordinary tokens to mask, got ${seen} special ones; give more text`,
      );
    }
    if (!Number.isFinite(totalLoss)) {
      throw new LonghandError(
        "diverged",
        `evaluation: the loss over ${tokens} tokens is ${totalLoss}; the model holds values that are not finite`,
      );
    }
    const accuracy = masking === undefined ? Number.NaN : correct / tokens;
    const byPosition = {
      lossByPosition: summed.slice(0, context),
      tokensByPosition: summed.slice(context, 2 * context),
    };
    return { loss: totalLoss / tokens, totalLoss, tokens, accuracy, ...byPosition };
  };
  return {
    async run(parameters, sequence, onProgress) {
      const { inputs, release } = await placed(engine, parameters);
      return evaluate(inputs, sequence, onProgress).finally(release);
    },
    release: () => compiled.release(),
  };
}

/** Parameters where the engine reads them at every batch: on a device of its own they are uploaded once, until `release`. */
export async function placed(
  engine: Engine,
  parameters: ModelParameters,
): Promise<{ readonly inputs: InputsByName; release(): void }> {
  const inputs: Record<string, HostArray | DeviceTensor> = {};
  const uploaded: DeviceTensor[] = [];
  for (const [path, own] of Object.entries(parameters)) {
    if (!("data" in own)) inputs[path] = own;
    else if (!engine.separateMemory) inputs[path] = own.data;
    else {
      const tensor = await engine.upload(own);
      uploaded.push(tensor);
      inputs[path] = tensor;
    }
  }
  const release = () => {
    for (const tensor of uploaded) tensor.release();
  };
  return { inputs, release };
}

/** One of the texts that a training is measured on. */
export interface HeldOutPart {
  readonly name: string;
  readonly sequence: TokenSequence;
}

/** The loss of one of several held-out texts: mean nats over its predicted tokens. */
export interface PartLoss {
  readonly name: string;
  readonly loss: number;
  readonly perplexity: number;
  readonly tokens: number;
}

export interface PartsEvaluation extends Omit<PartLoss, "name"> {
  /** When there are several. */
  readonly parts?: readonly PartLoss[];
}

/**
 * Evaluates several texts, one after the other: no window holds tokens of two of them. The loss is the mean over the
 * tokens of all. `goOn` is asked after every batch; what it ends early is the evaluation so far. `agree`: whether any of
 * several processes ends early; asked after every text.
 */
export async function evaluateParts(
  evaluator: Evaluator<TextLoss>,
  parameters: ModelParameters,
  heldOut: readonly HeldOutPart[],
  goOn: () => boolean = () => true,
  agree: (stops: boolean) => Promise<boolean> = async (stops) => stops,
): Promise<PartsEvaluation> {
  const parts: PartLoss[] = [];
  let totalLoss = 0;
  let tokens = 0;
  for (const { name, sequence } of heldOut) {
    const part = await evaluator.run(parameters, sequence, goOn);
    parts.push({ name, loss: part.loss, perplexity: Math.exp(part.loss), tokens: part.tokens });
    totalLoss += part.totalLoss;
    tokens += part.tokens;
    if (await agree(!goOn())) break;
  }
  const loss = totalLoss / tokens;
  return { loss, perplexity: Math.exp(loss), tokens, ...(heldOut.length > 1 ? { parts } : {}) };
}

interface InputBatch {
  readonly inputs: HostArraysByName & { readonly tokens: Int32Array };
  /** 1 where the batch holds a token of the sequence. */
  readonly real: Float32Array;
  /** Tokens to predict: the program's first so many losses are theirs. */
  readonly predicted: number;
  /** Where they stand in the batch; undefined: at its beginning. */
  readonly places?: Int32Array;
  /** 0 for losses that are those of tokens that another window predicts; undefined: there are none. */
  readonly counts?: Float32Array;
  /** Tokens of the sequence in the batch that count. */
  readonly count: number;
}

/** The batches of an evaluation. Both objectives take the same tokens as targets: all of the sequence but the first. */
function* inputBatches(request: EvaluationRequest, masking: MaskingVocabulary | undefined): Generator<InputBatch> {
  let index = 0;
  for (const { tokens, targets, real, weights, count } of evaluationBatches(request)) {
    if (masking === undefined) {
      const strides = request.stride !== undefined && request.stride < request.context;
      const counted = strides ? { predicted: weights.length, counts: weights } : { predicted: count };
      yield { inputs: { tokens, targets, weights }, real, ...counted, count };
    } else {
      const masked = maskedBatch({ vocabulary: masking, tokens: targets, real, seed: MASKING_SEED, index });
      const { inputs, count: predicted } = predictedIn(masked, mostMasked(targets.length));
      const { places } = inputs;
      yield { inputs: { tokens: masked.tokens, mask: real, ...inputs }, real, places, predicted, count };
    }
    index++;
  }
}
