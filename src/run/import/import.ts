/** A model that another library trained, written as an export: from then on it is used and trained further like our own. */
import { availableProcessors } from "../../base/processors.node.ts";
import { readWhole } from "../../checkpoint/read.node.ts";
import { decodeSafetensors } from "../../checkpoint/safetensors.ts";
import { parseSettings } from "../../config/fields.ts";
import { type ImportSettings, importSettingsSchema } from "../../config/import-settings.ts";
import { checkTrained, type TrainedConfig } from "../../config/trained-config.ts";
import { type ExportResult, writeExport } from "../export/export.ts";
import { fromFlashPytorch } from "./flash-pytorch.ts";
import { type FlashPytorchOptions, parseOptions } from "./options.ts";
import { importedTokenizer, withTokens } from "./vocabulary.ts";

export interface ImportOptions extends ImportSettings {
  /** Of the library's model, by its names; default: those in the metadata of the file, then the library's defaults. */
  readonly options?: FlashPytorchOptions | undefined;
}

export interface ImportResult extends ExportResult {
  readonly config: TrainedConfig;
}

/**
 * Imports a state dict (safetensors) of lucidrains/FLASH-pytorch. Throws "usage" for a wrong setting or option, "checkpoint" for
 * tensors that are not those of such a model, "data" for a tokenizer that does not fit, and as exportModel.
 */
export async function importModel(path: string, { options, ...given }: ImportOptions): Promise<ImportResult> {
  const { out, overwrite, tokenizer: from, context } = parseSettings(importSettingsSchema, given);
  const { tensors, metadata } = decodeSafetensors(await readWhole(path), path);
  const own = fromFlashPytorch(tensors, parseOptions(options ?? {}, metadata), path);
  const tokenizer = await importedTokenizer(from, own.model.vocabSize);
  const { model, parameters } = withTokens(own, tokenizer.vocabSize);
  const objective = model.causal ? "causal" : "masked";
  const config: TrainedConfig = { model, training: { objective, context, documents: "joined", carry: false } };
  checkTrained(config);
  const engine = { device: "cpu", threads: availableProcessors() } as const;
  const written = await writeExport(
    { path, config, tokenizer, parameters, step: 0, engine },
    { out, overwrite, weights: "float32" },
  );
  return { ...written, config };
}
