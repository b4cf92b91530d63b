/** What the pages of the browser's benchmark offer to the process that drives them. */
import type { ModelConfig } from "../../src/models/config.ts";
import type { ProductTiming } from "../matmuls.ts";

export interface WebTraining {
  readonly model: ModelConfig;
  readonly batch: number;
  readonly context: number;
  readonly threads: number;
}

export interface WebStep {
  readonly milliseconds: number;
  /** Nats a token, before the update. */
  readonly loss: number;
}

export interface TrainerPage {
  prepare(training: WebTraining): Promise<void>;
  /** One step of AdamW on the same batch, results read. */
  step(): Promise<WebStep>;
}

export interface LonghandPage extends TrainerPage {
  /** The best times of the step's own matrix products, alone. */
  products(): Promise<readonly ProductTiming[]>;
}

/** Tokens of one batch and those that follow them: a pattern that can be learnt. */
export function tokensOf({ model, batch, context }: WebTraining) {
  const text = Int32Array.from({ length: batch * context + 1 }, (_, i) => (i * 7 + (i >> 3)) % model.vocabSize);
  return { tokens: text.slice(0, -1), targets: text.slice(1) };
}
