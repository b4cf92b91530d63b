/** `longhand/train`: what a training is made of: sequences of tokens, batches, steps, evaluation, saved states. */
export { listCheckpoints, loadLatestCheckpoint, saveCheckpoint } from "../checkpoint/checkpoints.node.ts";
export { trainingBatch } from "../data/batches.ts";
export { type MaskingVocabulary, maskedBatch } from "../data/masking.ts";
export { requireRange, sliceTokens, splitHeldOut, type TokenSequence, tokensInMemory } from "../data/token-sequence.ts";
export { restoreState, storedState } from "../run/state.ts";
export { createEvaluator, type Evaluation, evaluationShape } from "../train/evaluate.ts";
export type { TrainingState } from "../train/loop.ts";
export type { Model } from "../train/objective.ts";
export { initialOptimizerState } from "../train/optimizer.ts";
export { learningRate, scheduleSchema } from "../train/schedule.ts";
export { type Batch, createTrainStep } from "../train/step.ts";
