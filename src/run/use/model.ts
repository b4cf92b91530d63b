/** A trained model ready for use: configuration, tokenizer, parameters, an engine, and decoders. */
import { parseSettings } from "../../config/fields.ts";
import { type LoadSettings, loadSettingsSchema } from "../../config/use-settings.ts";
import { type LoadedModel, openModel } from "./open.ts";
import { type ReadTrainedOptions, readTrained } from "./trained.ts";

export type { LoadedModel } from "./open.ts";

export interface LoadModelOptions extends LoadSettings, Omit<ReadTrainedOptions, "adapter"> {}

/** Loads what readTrained reads, onto a device. Throws as it does, and `usage` for a wrong setting. */
export async function loadModel(path: string, options: LoadModelOptions = {}): Promise<LoadedModel> {
  const { onWarning, ...given } = options;
  const settings = parseSettings(loadSettingsSchema, given);
  const trained = await readTrained(path, { onWarning, adapter: settings.adapter });
  return openModel(trained, settings);
}
