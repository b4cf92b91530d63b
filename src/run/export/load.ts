/** Loads an export and nothing else: without what runs are read and trained with. */
import { parseSettings } from "../../config/fields.ts";
import { type LoadSettings, loadSettingsSchema } from "../../config/use-settings.ts";
import { type LoadedModel, openModel } from "../use/open.ts";
import { readExport } from "./read.ts";

export type LoadExportOptions = Pick<LoadSettings, "device" | "threads">;

/** Loads an export onto a device. Throws as readExport does, and "usage" for a wrong setting. */
export async function loadExport(path: string, options: LoadExportOptions = {}): Promise<LoadedModel> {
  const settings = parseSettings(loadSettingsSchema.omit({ adapter: true }), options);
  return openModel(await readExport(path), settings);
}
