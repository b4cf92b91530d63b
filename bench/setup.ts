/**
 * What is trained in a benchmark: a model, a batch shape and an optimiser, written with initial parameters and batches
 * to one safetensors file, so that every process, of whatever framework, starts from the same numbers.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { madeUpTokens } from "../reproduce/made-up-tokens.ts";
import type { HostTensor } from "../src/base/dtype.ts";
import { randomKey } from "../src/base/random.ts";
import { decodeSafetensors, encodeSafetensors } from "../src/checkpoint/safetensors.ts";
import type { GatedConfig } from "../src/models/architectures/gated-unit-fields.ts";
import { type ModelConfig, parseModelConfig } from "../src/models/config.ts";
import { parametersOf } from "../src/models/language-model.ts";
import { type PresetName, presetModel } from "../src/models/presets.ts";
import { type ArchitectureName, hasField } from "../src/models/registry.ts";
import { orthogonalFeatures } from "../src/nn/favor-attention.ts";
import { initialise } from "../src/nn/scope.ts";
import type { AdamWConfig } from "../src/train/optimizer-config.ts";
import type { Batch } from "../src/train/training-step.ts";

export interface Setup<M extends ModelConfig = ModelConfig> {
  readonly model: M;
  readonly batch: number;
  readonly context: number;
  /** Distinct batches, used in turn. */
  readonly batches: number;
  readonly learningRate: number;
  readonly optimizer: AdamWConfig;
  /** The token that ends a document, where they are kept apart. */
  readonly endOfText?: number;
}

const VOCABULARY = 8192;

export const training = {
  batches: 4,
  learningRate: 7e-4,
  optimizer: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01, clip: 1 },
} as const;

/** FLASH as published, which is what the opponent in PyTorch implements. */
export const PAPER = { memory: "sum", absolute: true } as const;

/** The one model whose speed is reported: 17 million parameters, 4,096 tokens a step; as published. */
export function trainingSetup(): Setup<GatedConfig> {
  const model = { width: 512, layers: 8, shared: 128, chunk: 256, vocabSize: VOCABULARY, maxLength: 1024 };
  return { ...training, model: flashConfig(model), batch: 4, context: 1024 };
}

/** The tiny preset at some context, always with the same number of tokens a step. */
export function contextSetup(context: number, tokensPerStep: number): Setup<GatedConfig> {
  const model = flashConfig({ ...presetModel("flash", "tiny", { context }), vocabSize: VOCABULARY });
  return { ...training, batches: 2, model, batch: tokensPerStep / context, context };
}

interface ArchitectureSetupOptions {
  readonly preset: PresetName;
  readonly context: number;
  readonly tokensPerStep: number;
}

/** One architecture as published, at a size, a context and a number of tokens a step. */
export function architectureSetup(architecture: ArchitectureName, options: ArchitectureSetupOptions): Setup {
  const { preset, context, tokensPerStep } = options;
  const { memory, absolute } = PAPER;
  // The map to logits is the embedding in PyTorch; from maps at zero, first losses would agree whatever the layers are.
  const frame = { absolute, head: "tied", outputMaps: "normal" };
  const published = { ...frame, ...(hasField(architecture, "memory") && { memory }) };
  const fields = { ...presetModel(architecture, preset, { context }), ...published };
  const model = parseModelConfig({ ...fields, vocabSize: VOCABULARY });
  return { ...training, batches: 2, model, batch: tokensPerStep / context, context };
}

/** With the fields of its own, which the type of a configuration in general does not say. */
function flashConfig(fields: object): ModelConfig & GatedConfig {
  return parseModelConfig({ architecture: "flash", ...fields }) as ModelConfig & GatedConfig;
}

/** Writes the file and returns its path; `remove` deletes it. */
export function writeSetup(setup: Setup): { path: string; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), "longhand-bench-"));
  const path = join(folder, "setup.safetensors");
  const tensors: Record<string, HostTensor> = {
    ...initialise(parametersOf(setup.model), 1),
    ...fixedTensors(setup.model),
  };
  const shape = [setup.batch, setup.context];
  for (let i = 0; i < setup.batches; i++) {
    const key = randomKey(2, "benchmark tokens", i);
    const text = madeUpTokens(key, setup.model.vocabSize, setup.batch * setup.context + 1); // one more than the tokens: targets are the next ones
    tensors[`tokens.${i}`] = { dtype: "int32", shape, data: text.slice(0, -1) };
    tensors[`targets.${i}`] = { dtype: "int32", shape, data: text.slice(1) };
  }
  writeFileSync(path, Buffer.concat(encodeSafetensors(tensors, { setup: JSON.stringify(setup) })));
  return { path, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

interface PerformerFields {
  readonly features: number;
  readonly heads: number;
  readonly featureSeed: number;
}

/** What a model has beside its parameters and does not train: `constants.features.i` of Performer's layer i. */
function fixedTensors(model: ModelConfig): Record<string, HostTensor> {
  const fixed: Record<string, HostTensor> = {};
  if (model.architecture !== "performer") return fixed;
  for (let layer = 0; layer < model.layers; layer++) {
    const { features, heads, featureSeed } = model as ModelConfig & PerformerFields;
    const { node, shape } = orthogonalFeatures(features, model.width / heads, featureSeed, layer);
    if (node.kind === "constant") fixed[`constants.features.${layer}`] = { dtype: "float32", shape, data: node.data };
  }
  return fixed;
}

interface LoadedSetup {
  readonly setup: Setup;
  readonly parameters: Readonly<Record<string, HostTensor>>;
  readonly batches: readonly Batch[];
}

export function readSetup(path: string): LoadedSetup {
  const { tensors, metadata } = decodeSafetensors(readFileSync(path), path);
  const setup = JSON.parse(metadata.setup) as Setup;
  const parameters = Object.fromEntries(parametersOf(setup.model).map(({ path }) => [path, tensors[path]]));
  const batches = Array.from({ length: setup.batches }, (_, i) => ({
    tokens: tensors[`tokens.${i}`].data as Int32Array,
    targets: tensors[`targets.${i}`].data as Int32Array,
  }));
  return { setup, parameters, batches };
}
