/**
 * A trained model beyond the context of its training: the held-out text in longer windows, the loss by position. What
 * cannot be read says why: an architecture's limit, a text that is too short, memory.
 */
import type { Engine, ModelConfig } from "longhand";
import { architectureByName, evaluationMemory, modelOf } from "longhand/models";
import {
  createEvaluator,
  type Evaluation,
  type ModelParameters,
  sliceTokens,
  type TokenSequence,
} from "longhand/train";
import { memoryFor } from "./process.ts";
import type { FarWindow, PositionSum } from "./results.ts";

interface FarRequest {
  readonly config: ModelConfig;
  readonly parameters: ModelParameters;
  /** Held out. */
  readonly text: TokenSequence;
  /** Tokens of a window. */
  readonly window: number;
  /** How many of its tokens are read, from the first on; one whole window at least. */
  readonly tokens: number;
}

export async function readInWindow(engine: Engine, request: FarRequest): Promise<FarWindow> {
  const { config, parameters, text, window, tokens } = request;
  const problem = whyNot(request);
  if (problem !== undefined) return { window, byPosition: [], leftOut: problem };
  const whole = Math.max(window, tokens - (tokens % window));
  const evaluator = await createEvaluator(engine, modelOf(config), { batch: 1, context: window });
  try {
    const read = await evaluator.run(parameters, sliceTokens(text, 0, Math.min(text.tokens, whole + 1)));
    return { window, byPosition: positionRanges(read), leftOut: null };
  } finally {
    await evaluator.release();
  }
}

function whyNot({ config, text, window }: FarRequest): string | undefined {
  const problem = architectureByName(config.architecture).contextProblem(config, window);
  if (problem !== undefined) return problem;
  if (text.tokens <= window) return `the held-out text has ${text.tokens} tokens`;
  return memoryFor(evaluationMemory(config, window));
}

/** Sums over ranges that double from 16 on: 0-15, 16-31, 32-63, … */
export function positionRanges({
  lossByPosition,
  tokensByPosition,
}: Pick<Evaluation, "lossByPosition" | "tokensByPosition">): PositionSum[] {
  const sums: PositionSum[] = [];
  for (let from = 0; from < lossByPosition.length; ) {
    const to = Math.min(lossByPosition.length, from === 0 ? 16 : 2 * from);
    const add = (values: Float64Array) => values.subarray(from, to).reduce((sum, value) => sum + value, 0);
    sums.push({ from, to, nats: add(lossByPosition), tokens: add(tokensByPosition) });
    from = to;
  }
  return sums;
}
