/** A trained model ready for use: configuration, tokenizer, parameters, an engine, and decoders. */
import { parseSettings } from "../../config/fields.ts";
import { type LoadSettings, loadSettingsSchema } from "../../config/use-settings.ts";
import { createDecoder } from "../../generate/decoder.ts";
import { decodingArchitecture } from "../../models/decoding.ts";
import type { Engine } from "../../runtime/engine.ts";
import { ortNodeEngine } from "../../runtime/ort-node.ts";
import { requireDevice } from "../machine/device.ts";
import { Decoders } from "./decoders.ts";
import { type ReadTrainedOptions, readTrained, type TrainedModel } from "./trained.ts";

export interface LoadModelOptions extends LoadSettings, Omit<ReadTrainedOptions, "adapter"> {}

export interface LoadedModel extends Omit<TrainedModel, "engine"> {
  readonly engine: Engine;
  /** What it is read and continued with. */
  readonly decoders: Decoders;
  close(): Promise<void>;
}

/** Loads what readTrained reads, onto a device. Throws as it does, and `usage` for a wrong setting. */
export async function loadModel(path: string, options: LoadModelOptions = {}): Promise<LoadedModel> {
  const { onWarning, ...given } = options;
  const settings = parseSettings(loadSettingsSchema, given);
  const trained = await readTrained(path, { onWarning, adapter: settings.adapter });
  const { device = trained.engine.device, threads = trained.engine.threads } = settings;
  await requireDevice(device);
  const engine = ortNodeEngine({ device, threads });
  const decoders = new Decoders(() => {
    const architecture = decodingArchitecture(trained.config.model);
    const parameters = Object.fromEntries(Object.entries(trained.parameters).map(([name, { data }]) => [name, data]));
    return createDecoder({ engine, architecture, parameters });
  });
  return { ...trained, engine, decoders, close: () => engine.close() };
}
