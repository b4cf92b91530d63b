/** A trained model made ready for use: an engine, and decoders. */
import type { LoadSettings } from "../../config/use-settings.ts";
import { createDecoder } from "../../generate/decoder.ts";
import { decodingArchitecture } from "../../models/decoding.ts";
import type { Engine } from "../../runtime/engine.ts";
import { ortNodeEngine } from "../../runtime/ort-node.ts";
import { requireDevice } from "../machine/device.ts";
import { Decoders } from "./decoders.ts";
import type { TrainedModel } from "./trained-model.ts";

export interface LoadedModel extends Omit<TrainedModel, "engine"> {
  readonly engine: Engine;
  /** What it is read and continued with. */
  readonly decoders: Decoders;
  close(): Promise<void>;
}

/** Onto a device; default: the model's. Throws "engine" for one that does not work here. */
export async function openModel(
  trained: TrainedModel,
  { device = trained.engine.device, threads = trained.engine.threads }: Pick<LoadSettings, "device" | "threads"> = {},
): Promise<LoadedModel> {
  await requireDevice(device);
  const engine = ortNodeEngine({ device, threads });
  const decoders = new Decoders(() => {
    const architecture = decodingArchitecture(trained.config.model);
    const parameters = Object.fromEntries(Object.entries(trained.parameters).map(([name, { data }]) => [name, data]));
    return createDecoder({ engine, architecture, parameters });
  });
  return { ...trained, engine, decoders, close: () => engine.close() };
}
