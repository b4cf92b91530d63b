/** A trained model of a run folder, ready for use: configuration, tokenizer, parameters and an engine. */
import type { HostTensor } from "../../base/dtype.ts";
import { loadLatestCheckpoint } from "../../checkpoint/checkpoints.node.ts";
import { readConfig } from "../../checkpoint/run-folder.node.ts";
import { parseSettings } from "../../config/fields.ts";
import { parseRunConfig, type RunConfig } from "../../config/run-config.ts";
import { type LoadSettings, loadSettingsSchema } from "../../config/use-settings.ts";
import type { TextTokenizer } from "../../data/tokenizer.node.ts";
import { createDecoder } from "../../generate/decoder.ts";
import { decodingArchitecture } from "../../models/decoding.ts";
import { parametersOf } from "../../models/language-model.ts";
import { initialise } from "../../nn/scope.ts";
import type { Engine } from "../../runtime/engine.ts";
import { ortNodeEngine } from "../../runtime/ort-node.ts";
import { loadRunTokenizer } from "../data/run-tokens.ts";
import { requireDevice } from "../machine/device.ts";
import { requireTensors } from "../train/state.ts";
import { Decoders } from "./decoders.ts";

export interface LoadModelOptions extends LoadSettings {
  /** Told about each damaged checkpoint that was passed over. */
  readonly onWarning?: (message: string) => void;
}

export interface LoadedModel {
  readonly run: string;
  readonly config: RunConfig;
  readonly tokenizer: TextTokenizer;
  readonly parameters: Readonly<Record<string, HostTensor>>;
  readonly engine: Engine;
  /** Step of the checkpoint that was loaded. */
  readonly step: number;
  /** What it is read and continued with. */
  readonly decoders: Decoders;
  close(): Promise<void>;
}

/** Loads the newest whole checkpoint of a run. Throws `checkpoint` or `config` for a folder that cannot be used. */
export async function loadModel(run: string, options: LoadModelOptions = {}): Promise<LoadedModel> {
  const { onWarning, ...given } = options;
  const settings = parseSettings(loadSettingsSchema, given);
  const config = await readConfig(run, parseRunConfig);
  const { device = config.engine.device, threads = config.engine.threads } = settings;
  const tokenizer = await loadRunTokenizer(run, config);
  const { model, step, path } = await loadLatestCheckpoint(run, {
    parts: "model",
    ...(onWarning && { onWarning }),
  });
  requireTensors(model, initialise(parametersOf(config.model), 0), path);
  await requireDevice(device);
  const engine = ortNodeEngine({ device, threads });
  const decoders = new Decoders(() => {
    const parameters = Object.fromEntries(Object.entries(model).map(([name, { data }]) => [name, data]));
    return createDecoder({ engine, architecture: decodingArchitecture(config.model), parameters });
  });
  return { run, config, tokenizer, parameters: model, engine, step, decoders, close: () => engine.close() };
}
