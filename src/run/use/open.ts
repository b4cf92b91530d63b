/** A trained model made ready for use: an engine, and decoders. */
import { bytesPerElement } from "../../base/dtype.ts";
import { LonghandError } from "../../base/errors.ts";
import { sizeOf } from "../../base/shape.ts";
import type { LoadSettings } from "../../config/use-settings.ts";
import { createDecoder } from "../../generate/decoder.ts";
import { decodingArchitecture } from "../../models/decoding.ts";
import { entryShape } from "../../nn/decoding.ts";
import type { Engine } from "../../runtime/engine.ts";
import { ortNodeEngine } from "../../runtime/ort-node.ts";
import { availableMemory } from "../machine/available-memory.ts";
import { requireDevice } from "../machine/device.ts";
import { Decoders } from "./decoders.ts";
import type { TrainedModel } from "./trained-model.ts";

export interface LoadedModel extends Omit<TrainedModel, "engine"> {
  readonly engine: Engine;
  /** What it is read and continued with. */
  readonly decoders: Decoders;
  close(): Promise<void>;
}

/** Onto a device; default: the model's. Throws "engine" for one that does not work here, "usage" where there is too little memory. */
export async function openModel(
  trained: TrainedModel,
  { device = trained.engine.device, threads = trained.engine.threads }: Pick<LoadSettings, "device" | "threads"> = {},
): Promise<LoadedModel> {
  requireMemory(trained);
  await requireDevice(device);
  const engine = ortNodeEngine({ device, threads });
  const decoders = new Decoders(() => {
    const architecture = decodingArchitecture(trained.config.model);
    const parameters = Object.fromEntries(Object.entries(trained.parameters).map(([name, { data }]) => [name, data]));
    return createDecoder({ engine, architecture, parameters });
  });
  return { ...trained, engine, decoders, close: () => engine.close() };
}

/** A configuration can ask for a state of any size. */
function requireMemory({ path, config: { model, training } }: TrainedModel): void {
  if (training.objective !== "causal") return;
  let bytes = 0;
  for (const entry of decodingArchitecture(model).state.values())
    bytes += bytesPerElement.float32 * sizeOf(entryShape(entry, 1, { tokens: 0, spans: 0 }));
  const available = availableMemory();
  if (bytes <= available) return;
  const [needed, there] = [bytes, available].map((count) => `${(count / 1e9).toFixed(1)} GB`);
  throw new LonghandError("usage", `${path}: its state takes ${needed}, and ${there} are available`);
}
