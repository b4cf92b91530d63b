/** Every name that the library exports. A name that comes or goes is a change for users: it belongs in CHANGELOG.md. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { root } from "../cli/command.ts";

const values = [
  "LonghandError",
  "ablationNames",
  "ablations",
  "architectureNames",
  "createDecoder",
  "decodingArchitecture",
  "describeArchitectures",
  "diagnose",
  "estimatePreparation",
  "evaluate",
  "evaluateMasked",
  "fill",
  "generate",
  "inspectShards",
  "loadModel",
  "loadTokenizer",
  "ngramPerplexity",
  "openCorpus",
  "openShards",
  "openTextSource",
  "ortNodeEngine",
  "parameterCount",
  "prepare",
  "presetNames",
  "presets",
  "rebuildReport",
  "reproduce",
  "resume",
  "sample",
  "train",
  "trainTokenizer",
  "version",
  "writeShards",
];

const types = [
  "Ablation",
  "AblationName",
  "ArchitectureDescription",
  "ArchitectureName",
  "BlankCandidate",
  "Corpus",
  "CorpusOptions",
  "DataSpec",
  "Decoder",
  "Device",
  "Engine",
  "ErrorCode",
  "EvaluateOptions",
  "EvaluateResult",
  "FillOptions",
  "FillResult",
  "Finding",
  "GenerateTextOptions",
  "GeneratedPiece",
  "InspectOptions",
  "Inspection",
  "LoadModelOptions",
  "LoadedModel",
  "MaskedEvaluateResult",
  "ModelConfig",
  "NgramPerplexity",
  "PositionLoss",
  "PrepareEstimate",
  "PrepareEvent",
  "PrepareOptions",
  "PrepareResult",
  "PrepareSettings",
  "PrepareSettingsInput",
  "PreparedSplit",
  "PresetName",
  "ReproduceEvent",
  "ReproduceOptions",
  "ReproduceOutcome",
  "ReproduceSettingsInput",
  "ResumeOptions",
  "RunConfig",
  "RunEvent",
  "SamplingOptions",
  "ShardOrigin",
  "SplitEstimate",
  "StopReason",
  "TextPiece",
  "TextSource",
  "TextTokenizer",
  "TrainOptions",
  "TrainResult",
  "TrainSettings",
  "TrainSettingsInput",
];

it("exports these values", async () => {
  expect(Object.keys(await import("longhand")).sort()).toEqual(values);
});

it("exports these types", () => {
  const source = readFileSync(join(root, "src", "index.ts"), "utf8");
  const names = [...source.matchAll(/export (type )?\{([^}]*)\}/g)].flatMap(([, all, list]) =>
    list
      .split(",")
      .map((name) => name.trim())
      .filter((name) => all !== undefined || name.startsWith("type "))
      .map((name) => name.replace(/^type /, "")),
  );
  expect(names.filter(Boolean).sort()).toEqual(types);
  expect(source.replace(/\/\*\*.*?\*\/|export (type )?\{[^}]*\} from "[^"]*";/gs, "").trim()).toBe(""); // re-exports only
});
