/** Held-out loss: every token of a sequence predicted once, in consecutive windows of the context, without training. */
import type { HostTensor } from "../base/dtype.ts";
import { LonghandError } from "../base/errors.ts";
import { evaluationBatches } from "../data/batches.ts";
import type { TokenSequence } from "../data/token-sequence.ts";
import type { Engine } from "../runtime/engine.ts";
import { type BatchShape, evaluationProgram, type Model } from "./objective.ts";

export interface Evaluation {
  /** Mean nats a predicted token. */
  readonly loss: number;
  /** Sum of nats over all predicted tokens. */
  readonly totalLoss: number;
  /** Tokens predicted: all but the first. */
  readonly tokens: number;
  /** Sums of nats by position in the window, [context], and how many tokens each sums over. */
  readonly lossByPosition: Float64Array;
  readonly tokensByPosition: Float64Array;
}

export interface Evaluator {
  /** `onProgress` is told the share done, 0 … 1; returning false stops and keeps what was evaluated. */
  run(
    parameters: Readonly<Record<string, HostTensor>>,
    sequence: TokenSequence,
    onProgress?: (done: number) => boolean | undefined,
  ): Promise<Evaluation>;
  release(): Promise<void>;
}

/** Tokens of one evaluation batch, about: enough to fill a matmul, few enough to stay small beside training. */
const BATCH_TOKENS = 4096;

export function evaluationShape(context: number): BatchShape {
  return { batch: Math.max(1, Math.floor(BATCH_TOKENS / context)), context };
}

export async function createEvaluator(engine: Engine, model: Model, shape: BatchShape): Promise<Evaluator> {
  const compiled = await engine.compile(evaluationProgram(model, shape).program);
  const { batch, context } = shape;
  return {
    async run(parameters, sequence, onProgress) {
      const arrays = Object.fromEntries(Object.entries(parameters).map(([path, { data }]) => [path, data]));
      const lossByPosition = new Float64Array(context);
      const tokensByPosition = new Float64Array(context);
      let totalLoss = 0;
      let tokens = 0;
      for (const { tokens: ids, targets, weights, count } of evaluationBatches({ sequence, context, batch })) {
        const { losses } = await compiled.run({ ...arrays, tokens: ids, targets, weights });
        for (let i = 0; i < losses.length; i++) {
          if (weights[i] === 0) continue;
          totalLoss += losses[i];
          lossByPosition[i % context] += losses[i];
          tokensByPosition[i % context] += 1;
        }
        tokens += count;
        if (onProgress?.(tokens / (sequence.tokens - 1)) === false) break;
      }
      if (!Number.isFinite(totalLoss)) {
        throw new LonghandError(
          "diverged",
          `evaluation: the loss over ${tokens} tokens is ${totalLoss}; the model holds values that are not finite`,
        );
      }
      return { loss: totalLoss / tokens, totalLoss, tokens, lossByPosition, tokensByPosition };
    },
    release: () => compiled.release(),
  };
}
