/** Every name that the package exports. A name that comes or goes is a change for users: it belongs in CHANGELOG.md. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { root } from "../cli/command.ts";

const surface: Readonly<Record<string, { file: string; values: string; types: string }>> = {
  longhand: {
    file: "src/index.ts",
    values: `
      LonghandError ablationNames ablations architectureNames bench createBatchDecoder createDecoder decodingArchitecture describeArchitectures
      deviceNames diagnose estimatePreparation evaluate evaluateChoices evaluateMasked evaluateWhole exportModel fill generate importModel inspectPath inspectShards loadModel loadTokenizer
      ngramPerplexity objectiveNames openCorpus openShards openTextSource ortNodeEngine parameterCount prepare presetNames
      presets resume sample score serve train trainTokenizer version writeShards`,
    types: `
      Ablation AblationName Answered ArchitectureDescription ArchitectureName BatchDecoder BenchOptions BenchPreset BenchResult BenchSettingsInput BlankCandidate ChoiceScore ChoicesOptions ChoicesResult Corpus CorpusOptions DataSpec Decoder
      Device Engine ErrorCode EvaluateOptions EvaluateResult ExportOptions ExportResult FillOptions FillResult Finding
      FormatMeasure GenerateTextOptions GeneratedPiece ImportOptions ImportResult InspectOptions Inspected InspectedKind Inspection
      LoadModelOptions LoadedModel MaskedEvaluateResult ModelConfig NgramPerplexity OtherSurprise PositionLoss
      PrepareEstimate PrepareEvent PrepareOptions PrepareResult PrepareSettings PrepareSettingsInput PreparedSplit
      PresetName ResumeOptions RunConfig RunEvent SamplingOptions ScoreOptions ScoreRecord ScoredDocument ScoredLine
      ScoredToken ServeOptions Server ShardOrigin SplitEstimate StopReason Surprise TextPiece TextSource TextStretch
      TextTokenizer TokenShards TrainOptions TrainResult
      TrainSettings TrainSettingsInput WholeEvaluateResult`,
  },
  "longhand/graph": {
    file: "src/public/graph.ts",
    values: "constant recomputeNames sizeOf",
    types: "HostTensor Recompute Tensor",
  },
  "longhand/nn": {
    file: "src/public/nn.ts",
    values: "initialise linear linearParameters norm randomKey randomUniform silu splitLinear",
    types: "Layer LayerInputs NewTokens Recurrence Scope StateEntry Stepped Visibility",
  },
  "longhand/models": {
    file: "src/public/models.ts",
    values: `
      architectureByName architectureNameSchema architectures carriedState defineArchitecture evaluationMemory forwardFlops
      languageModel modelConfigSchema modelOf parametersOf parseModelConfig presetModel registerArchitecture trainingMemory`,
    types: "Ablation Architecture ArchitectureRecord ConfigOf Look ModelSize",
  },
  "longhand/train": {
    file: "src/public/train.ts",
    values: `
      DEFAULT_DECAYS createEvaluator createTrainStep createWholeEvaluator emptyLanes evaluationProgram evaluationShape firstPlace
      hostLoops initialOptimizerState listCheckpoints loadLatestCheckpoint parseTrainSettings placeInData requireRange
      resolveConfig
      restoreState rulesOf saveCheckpoint sliceTokens splitHeldOut storedState thisMachine tokensInMemory trainLoop`,
    types: `
      Batch EvalRecord Evaluation Evaluator HostLoops LaneStates LoopState Model ModelParameters SkipRecord StepResult TextLoss
      TokenSequence TrainRecord TrainStep WholeEvaluation`,
  },
  "longhand/run": {
    file: "src/public/run.ts",
    values: "LonghandError fill generate loadModel score",
    types: `
      BlankCandidate Device ErrorCode FillOptions FillResult GenerateTextOptions GeneratedPiece GivenText LoadExportOptions
      LoadedModel OtherSurprise ScoreRecord ScoreTextOptions ScoredDocument ScoredLine ScoredToken StopReason Surprise
      TextStretch`,
  },
  "longhand/web": {
    file: "src/public/web.ts",
    values: "LonghandError loadModel openTrainer removeStoredModel storedModels",
    types: `
      BlankCandidate ContinuedTraining EngineChoice EngineOptions ErrorCode FillOptions FillResult GeneratedPiece LoadModelOptions
      LoadProgress ModelFacts ModelPlace NewTraining RunList RunText ScoreRecord ScoredDocument ScoredLine ScoredToken StopReason
      StoredModel StoredRun TextToLearn TrainerEvent TrainerOptions WebGenerateOptions WebModel WebScoreOptions WebTrainSettings
      WebTrainer`,
  },
  "longhand/tools": {
    file: "src/public/tools.ts",
    values: `
      acquireRunLock availableMemory describeIssues hugePages machineMemory messageOf nearest ortVersion parseSettings quoted requireDevice
      writeDirectoryAtomic writeFileAtomic`,
    types: "",
  },
  "longhand/reproduce": {
    file: "reproduce/index.ts",
    values: "PLANNED_SHARE groupsOf rebuildReport reproduce reproduceSettingsSchema",
    types: "Plan ReproduceEvent ReproduceOptions ReproduceOutcome ReproduceSettingsInput",
  },
};

const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

it("has these entries, each a source file and what it is built to", () => {
  const built = (file: string, ending: string) => `./dist/${file.replace(/\.ts$/, ending)}`;
  const files = Object.entries(surface).map(([name, { file }]) => [name.replace(/^longhand/, "."), file]);
  // Not modules to import but the scripts of workers.
  const workers = ["worker", "train-worker"].map((name) => [`./web/${name}`, `src/web/${name}.ts`]);
  const entries = [...files, ...workers].map(([name, file]) => [
    name,
    { "longhand-source": `./${file}`, types: built(file, ".d.ts"), default: built(file, ".js") },
  ]);
  expect(exports).toEqual({ ...Object.fromEntries(entries), "./package.json": "./package.json" });
});

describe.each(Object.entries(surface))("%s", (name, { file, values, types }) => {
  it("exports these values, from its source and as it is built", async () => {
    expect(Object.keys(await import(/* @vite-ignore */ name)).sort()).toEqual(words(values));
    const built = join(root, exports[name.replace(/^longhand/, ".")].default);
    expect(Object.keys(await import(/* @vite-ignore */ built)).sort()).toEqual(words(values));
  });

  it("exports these types", () => {
    const source = readFileSync(join(root, file), "utf8");
    const names = [...source.matchAll(/export (type )?\{([^}]*)\}/g)].flatMap(([, all, list]) =>
      list
        .split(",")
        .map((each) => each.trim())
        .filter((each) => all !== undefined || each.startsWith("type "))
        .map((each) => each.replace(/^type /, "")),
    );
    expect(names.filter(Boolean).sort()).toEqual(words(types));
    expect(source.replace(/\/\*\*.*?\*\/|export (type )?\{[^}]*\} from "[^"]*";/gs, "").trim()).toBe(""); // re-exports only
  });
});

function words(text: string): string[] {
  return text.split(/\s+/).filter(Boolean);
}
