/** `longhand/models`: language models from a configuration: their graph, their parameters, what they cost. */
export { forwardFlops } from "../models/catalogue.ts";
export { modelConfigSchema, parseModelConfig } from "../models/config.ts";
export { languageModel, parametersOf } from "../models/language-model.ts";
export { presetModel } from "../models/presets.ts";
export { trainingMemory } from "../run/memory.ts";
