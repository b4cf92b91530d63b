/**
 * `longhand/models`: language models from a configuration: their graph, their parameters, what they cost; and the
 * registry of architectures, to which one of your own can be added.
 */
export {
  type Ablation,
  type Architecture,
  type ArchitectureRecord,
  type ConfigOf,
  defineArchitecture,
  type Look,
  type ModelSize,
} from "../models/architecture.ts";
export { carriedState } from "../models/carry.ts";
export { forwardFlops } from "../models/catalogue.ts";
export { modelConfigSchema, parseModelConfig } from "../models/config.ts";
export { languageModel, modelOf, parametersOf } from "../models/language-model.ts";
export { presetModel } from "../models/presets.ts";
export {
  architectureByName,
  architectureNameSchema,
  architectures,
  registerArchitecture,
} from "../models/registry.ts";
export { evaluationMemory, trainingMemory } from "../run/machine/memory.ts";
