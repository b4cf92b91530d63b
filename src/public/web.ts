/**
 * `longhand/web`: models in a web page: loaded from a URL, from files or from the browser's private file system into a
 * worker, which writes, fills in blanks and scores; and trained there, in runs that Node goes on with. Needs no Node.
 */
export { type ErrorCode, LonghandError } from "../base/errors.ts";
export type { FillOptions } from "../config/use-settings.ts";
export type { GeneratedPiece, StopReason } from "../generate/generate.ts";
export type { BlankCandidate, FillResult } from "../use/fill.ts";
export type { ScoredDocument, ScoredLine, ScoredToken, ScoreRecord } from "../use/score/records.ts";
export type { EngineChoice, EngineOptions } from "../web/engine.ts";
export {
  type LoadModelOptions,
  loadModel,
  type WebGenerateOptions,
  type WebModel,
  type WebScoreOptions,
} from "../web/model.ts";
export type { LoadProgress, ModelFacts, ModelPlace } from "../web/protocol.ts";
export { removeStoredModel, type StoredModel, storedModels } from "../web/storage.ts";
export type { StoredRun } from "../web/stored-runs.ts";
export type { TextToLearn, WebTrainSettings } from "../web/train.ts";
export type { ContinuedTraining, NewTraining, RunList, RunText, TrainerEvent } from "../web/train-protocol.ts";
export { openTrainer, type TrainerOptions, type WebTrainer } from "../web/trainer.ts";
