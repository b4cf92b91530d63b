/** A trained model made ready for use on this machine. */
import type { LoadSettings } from "../../config/use-settings.ts";
import { ortNodeEngine } from "../../runtime/ort-node.ts";
import { type LoadedModel, loadedModel, requireMemory } from "../../use/loaded-model.ts";
import type { TrainedModel } from "../../use/trained-model.ts";
import { availableMemory } from "../machine/available-memory.ts";
import { requireDevice } from "../machine/device.ts";

export type { LoadedModel } from "../../use/loaded-model.ts";

/** Onto a device; default: the model's. Throws "engine" for one that does not work here, "usage" where there is too little memory. */
export async function openModel(
  trained: TrainedModel,
  { device = trained.engine.device, threads = trained.engine.threads }: Pick<LoadSettings, "device" | "threads"> = {},
): Promise<LoadedModel> {
  requireMemory(trained, availableMemory());
  await requireDevice(device);
  return loadedModel(trained, ortNodeEngine({ device, threads }));
}
