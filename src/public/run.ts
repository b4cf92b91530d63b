/** `longhand/run`: writing text, filling in blanks and scoring with an exported model, and nothing of training. */
export { type ErrorCode, LonghandError } from "../base/errors.ts";
export type { FillOptions } from "../config/use-settings.ts";
export type { GeneratedPiece, StopReason } from "../generate/generate.ts";
export type { TextStretch } from "../generate/text-statistics.ts";
export { type LoadExportOptions, loadExport as loadModel } from "../run/export/load.ts";
export type { LoadedModel } from "../run/use/open.ts";
export type { Device } from "../runtime/engine.ts";
export { type BlankCandidate, type FillResult, fill } from "../use/fill.ts";
export { type GenerateTextOptions, generate } from "../use/generate.ts";
export type {
  OtherSurprise,
  ScoredDocument,
  ScoredLine,
  ScoredToken,
  ScoreRecord,
  Surprise,
} from "../use/score/records.ts";
export { type GivenText, type ScoreTextOptions, scoreText as score } from "../use/score/score-text.ts";
