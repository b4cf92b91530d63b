/** A trained model as an export has it, from a folder. Nothing in the folder is used before it has been checked. */
import { join } from "node:path";
import { sha256 } from "../../base/files.node.ts";
import { availableProcessors } from "../../base/processors.node.ts";
import { readWhole } from "../../checkpoint/read.node.ts";
import { tokenizerFromJson } from "../../data/tokenizer.node.ts";
import { type ExportSource, readExportFrom } from "../../use/export-files.ts";
import type { TrainedModel } from "../../use/trained-model.ts";

/** Throws "config", "data" or "checkpoint", naming the file, for an export that is incomplete, damaged, or contradicts itself. */
export async function readExport(path: string): Promise<TrainedModel> {
  const trained = await readExportFrom(exportFolder(path));
  return { ...trained, engine: { device: "cpu", threads: availableProcessors() } };
}

export function exportFolder(path: string): ExportSource {
  const fileOf = (name: string) => join(path, name);
  return {
    path,
    fileOf,
    read: (name, length) => readWhole(fileOf(name), length),
    sha256,
    tokenizer: tokenizerFromJson,
  };
}
