/** The library: everything that the command line does, typed, for Node. Re-exports only. */
export { type ErrorCode, LonghandError } from "./base/errors.ts";
export type { BenchSettingsInput } from "./config/bench-settings.ts";
export { objectiveNames } from "./config/example-fields.ts";
export type { PrepareSettings, PrepareSettingsInput } from "./config/prepare-settings.ts";
export type { RunConfig } from "./config/run-config.ts";
export type { TrainSettings, TrainSettingsInput } from "./config/train-settings.ts";
export type { FillOptions } from "./config/use-settings.ts";
export type { DataSpec } from "./data/data-spec.ts";
export { type NgramPerplexity, ngramPerplexity } from "./data/ngram.ts";
export { openShards, type ShardOrigin, type TokenShards, writeShards } from "./data/shards.node.ts";
export { type Corpus, type CorpusOptions, openCorpus } from "./data/sources/corpus.ts";
export { openTextSource } from "./data/sources/text.ts";
export type { TextPiece, TextSource } from "./data/text-source.ts";
export { loadTokenizer, type TextTokenizer, trainTokenizer } from "./data/tokenizer.node.ts";
export { type BatchDecoder, createBatchDecoder } from "./generate/batch-decoder.ts";
export { createDecoder, type Decoder } from "./generate/decoder.ts";
export type { GeneratedPiece, StopReason } from "./generate/generate.ts";
export { type SamplingOptions, sample } from "./generate/sampling.ts";
export type { TextStretch } from "./generate/text-statistics.ts";
export { type AblationName, ablationNames, ablations } from "./models/ablations.ts";
export type { Ablation, ModelConfig } from "./models/architecture.ts";
export { type ArchitectureDescription, describeArchitectures } from "./models/catalogue.ts";
export { decodingArchitecture } from "./models/decoding.ts";
export { parameterCount } from "./models/language-model.ts";
export { type PresetName, presetNames, presets } from "./models/presets.ts";
export { type ArchitectureName, architectureNames } from "./models/registry.ts";
export { type BenchOptions, type BenchResult, bench } from "./run/bench/bench.ts";
export type { BenchPreset } from "./run/bench/estimate.ts";
export { estimatePreparation, type PrepareEstimate, type SplitEstimate } from "./run/data/estimate.ts";
export { type Inspection, type InspectOptions, inspectShards } from "./run/data/inspect.ts";
export {
  type PreparedSplit,
  type PrepareEvent,
  type PrepareOptions,
  type PrepareResult,
  prepare,
} from "./run/data/prepare.ts";
export type { FormatMeasure } from "./run/export/compare.ts";
export { type ExportOptions, type ExportResult, exportModel } from "./run/export/export.ts";
export { type ImportOptions, type ImportResult, importModel } from "./run/import/import.ts";
export { type Inspected, type InspectedKind, inspectPath } from "./run/inspect/inspect.ts";
export { diagnose, type Finding } from "./run/machine/doctor.ts";
export { version } from "./run/machine/version.ts";
export { type ScoreOptions, score } from "./run/score/score.ts";
export { type ResumeOptions, resume } from "./run/train/resume.ts";
export type { RunEvent, TrainOptions, TrainResult } from "./run/train/run-loop.ts";
export { train } from "./run/train/train.ts";
export {
  type EvaluateOptions,
  type EvaluateResult,
  evaluate,
  evaluateMasked,
  type MaskedEvaluateResult,
  type PositionLoss,
} from "./run/use/evaluate.ts";
export { evaluateWhole, type WholeEvaluateResult } from "./run/use/evaluate-whole.ts";
export { type LoadedModel, type LoadModelOptions, loadModel } from "./run/use/model.ts";
export { type ChoicesOptions, evaluateChoices } from "./run/use/questions.ts";
export { type Device, deviceNames, type Engine } from "./runtime/engine.ts";
export { ortNodeEngine } from "./runtime/ort-node.ts";
export { type ServeOptions, type Server, serve } from "./serve/serve.ts";
export type { Answered, ChoiceScore, ChoicesResult } from "./use/choices.ts";
export { type BlankCandidate, type FillResult, fill } from "./use/fill.ts";
export { type GenerateTextOptions, generate } from "./use/generate.ts";
export type {
  OtherSurprise,
  ScoredDocument,
  ScoredLine,
  ScoredToken,
  ScoreRecord,
  Surprise,
} from "./use/score/records.ts";
