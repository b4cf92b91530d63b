/**
 * `longhand/train`: what a training is made of: sequences of tokens, steps, the loop over them, evaluation, saved
 * states.
 */
export { listCheckpoints, loadLatestCheckpoint, saveCheckpoint } from "../checkpoint/checkpoints.node.ts";
export { resolveConfig } from "../config/resolve.ts";
export { DEFAULT_DECAYS, parseTrainSettings } from "../config/train-settings.ts";
export { firstPlace } from "../data/mixture.ts";
export { requireRange, sliceTokens, splitHeldOut, type TokenSequence, tokensInMemory } from "../data/token-sequence.ts";
export { hostLoops } from "../run/machine/host-loops.ts";
export { thisMachine } from "../run/machine/this-machine.ts";
export { emptyLanes, type LaneStates } from "../train/carried.ts";
export { createEvaluator, type Evaluation, type Evaluator, evaluationShape, type TextLoss } from "../train/evaluate.ts";
export type { HostLoops } from "../train/host-loops.ts";
export {
  type EvalRecord,
  type LoopState,
  type SkipRecord,
  type TrainRecord,
  trainLoop,
} from "../train/loop.ts";
export { evaluationProgram, type Model } from "../train/objective.ts";
export { initialOptimizerState } from "../train/optimizer.ts";
export { rulesOf } from "../train/optimizer-config.ts";
export { createTrainStep } from "../train/step.ts";
export type { Batch, ModelParameters, StepResult, TrainStep } from "../train/training-step.ts";
export { createWholeEvaluator, type WholeEvaluation } from "../train/whole.ts";
export { placeInData, restoreState, storedState } from "../training/state.ts";
