/**
 * Perplexity of whole documents under a model, each read once, from its first token to its last, in constant memory; by
 * position in the document; what the distant half of the model is worth; and beside it the figure of windows.
 */
import { LonghandError } from "../../base/errors.ts";
import { carryProblem } from "../../models/carry.ts";
import type { WholeEvaluation } from "../../train/whole.ts";
import { byRange, type EvaluateOptions, noWindows, type PositionLoss, settingsOf } from "./evaluate.ts";
import { byDocument, inWindows, perplexityOf, requireObjective, type TextPerplexity, withShards } from "./measure.ts";
import type { LoadedModel } from "./model.ts";

export interface WholeEvaluateResult extends TextPerplexity {
  readonly documents: number;
  /** In the document. */
  readonly byPosition: readonly PositionLoss[];
  /** The same model with its distant half switched off: every token sees its own chunk alone. */
  readonly withoutDistant: Pick<TextPerplexity, "loss" | "perplexity"> & {
    readonly byPosition: readonly PositionLoss[];
  };
  /** The same text in windows of `context` tokens, each of which begins anew. */
  readonly windows: Pick<TextPerplexity, "loss" | "perplexity" | "bitsPerByte"> & { readonly context: number };
}

/**
 * Measures a causal model that can go on from window to window, however it was trained. `context` is that of the windows
 * for comparison; default: the training context. Throws "usage" for any other model, and for a wrong setting.
 */
export async function evaluateWhole(model: LoadedModel, options: EvaluateOptions): Promise<WholeEvaluateResult> {
  const { data, context = model.config.training.context, stride, reading } = settingsOf(options);
  if (stride !== undefined) throw noWindows(stride, "`whole` reads documents whole");
  requireObjective(model, "causal", "evaluateMasked");
  const problem = carryProblem(model.config.model);
  if (problem !== undefined) throw new LonghandError("usage", `\`whole\`: ${problem}`);
  const [whole, near, windows] = [byDocument(model), byDocument(model, { distant: false }), inWindows(model, context)];
  const part = (index: number) => (done: number) => options.onProgress?.((index + done) / 3);
  return withShards(data, reading, model.tokenizer, async (text) => {
    const result = await whole(text, part(0));
    const withoutDistant = await near(text, part(1));
    const inWindows = await windows(text, part(2));
    const { loss, perplexity, bitsPerByte } = perplexityOf(inWindows, text);
    return {
      ...perplexityOf(result, text),
      documents: result.documents,
      byPosition: byRange(result),
      withoutDistant: lossOf(withoutDistant),
      windows: { context, loss, perplexity, bitsPerByte },
    };
  });
}

function lossOf(result: WholeEvaluation): WholeEvaluateResult["withoutDistant"] {
  return { loss: result.loss, perplexity: Math.exp(result.loss), byPosition: byRange(result) };
}
