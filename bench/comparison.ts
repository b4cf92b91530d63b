/** One opponent's speed and memory beside Longhand's, measured in the same rounds. */
import type { StepReply } from "../reproduce/process.ts";
import { ratios, type Spread, spread } from "../reproduce/statistics.ts";

export interface PytorchSide {
  readonly tokensPerSecond: Spread;
  readonly optimizerShare: Spread;
  readonly peakBytes: number;
  /** Longhand's speed over this one's. */
  readonly ratio: Spread;
  /** Longhand's peak memory over this one's. */
  readonly memoryRatio: number;
}

interface Measured {
  readonly own: readonly StepReply[];
  readonly others: readonly StepReply[];
  /** Of a step. */
  readonly tokens: number;
  /** Longhand's, the opponent's. */
  readonly peakBytes: readonly [number, number];
}

export function pytorchSide({ own, others, tokens, peakBytes: [ownPeak, peakBytes] }: Measured): PytorchSide {
  return {
    tokensPerSecond: speed(others, tokens),
    optimizerShare: optimizerShare(others),
    peakBytes,
    ratio: spread(ratios(times(others), times(own))),
    memoryRatio: ownPeak / peakBytes,
  };
}

export const times = (replies: readonly StepReply[]) => replies.map(({ milliseconds }) => milliseconds);

export const speed = (replies: readonly StepReply[], tokens: number): Spread =>
  spread(times(replies).map((milliseconds) => (1000 * tokens) / milliseconds));

export const optimizerShare = (replies: readonly StepReply[]): Spread =>
  spread(replies.map(({ phases, milliseconds }) => phases.optimizer / milliseconds));
