/**
 * Writes a trained model as a folder that other programs can use: weights, tokenizer, configuration, ONNX graphs, a PyTorch
 * module.
 */
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { LonghandError } from "../../base/errors.ts";
import { sha256, writeFlushed } from "../../base/files.node.ts";
import { removeStaleTemporaries, writeDirectoryAtomic } from "../../checkpoint/atomic.node.ts";
import { readWhole } from "../../checkpoint/read.node.ts";
import { folderFormat, makeFolders, removeFolders } from "../../checkpoint/run-folder.node.ts";
import { type ExportConfig, parseExportConfig } from "../../config/export-config.ts";
import { type ExportSettings, exportSettingsSchema, type WeightFormat } from "../../config/export-settings.ts";
import { parseSettings } from "../../config/fields.ts";
import {
  CONFIG_FILE,
  EXPORT_FORMAT,
  encodeExportConfig,
  README_FILE,
  TOKENIZER_FILE,
  WEIGHTS_FILE,
} from "../../use/export-files.ts";
import type { TrainedModel } from "../../use/trained-model.ts";
import { encodeWeights } from "../../use/weights.ts";
import { version } from "../machine/version.ts";
import { readTrained } from "../use/trained.ts";
import { compareFormats, type FormatMeasure } from "./compare.ts";
import { encodeGraphs } from "./graphs.ts";
import { readmeOf } from "./readme.ts";
import { TORCH_MODULE, torchModule } from "./torch-module.ts";

export interface ExportOptions extends ExportSettings {
  /** Told about each damaged checkpoint that was passed over. */
  readonly onWarning?: ((message: string) => void) | undefined;
  /** Gets the share of the measurement that is done, 0 … 1. */
  readonly onProgress?: ((done: number) => void) | undefined;
}

export interface ExportResult {
  /** Path of the folder. */
  readonly out: string;
  /** Optimiser steps behind the model. */
  readonly step: number;
  /** Its files and their sizes in bytes. */
  readonly files: Readonly<Record<string, number>>;
  /** With `data`: what each format of weights costs. */
  readonly formats?: readonly FormatMeasure[];
}

/**
 * Exports what readTrained reads, with its adapters merged. The folder appears whole or not at all. Throws "usage" for a folder
 * that exists, "io" where the system refuses, and as readTrained.
 */
export async function exportModel(path: string, options: ExportOptions): Promise<ExportResult> {
  const { onWarning, onProgress, ...given } = options;
  const { adapter, data, ...place } = parseSettings(exportSettingsSchema, given);
  const trained = await readTrained(path, { adapter, onWarning });
  await requirePlace({ ...place, from: path });
  const write = (folder: string, format: WeightFormat) => writeFiles(folder, trained, format);
  const formats =
    data === undefined ? undefined : await compareFormats(trained, { data, write, onWarning, onProgress });
  return { ...(await writeExport(trained, place)), ...(formats && { formats }) };
}

/** Writes any trained model; throws as exportModel. */
export async function writeExport(
  trained: TrainedModel,
  { out, overwrite, weights }: { readonly out: string; readonly overwrite: boolean; readonly weights: WeightFormat },
): Promise<ExportResult> {
  await requirePlace({ out, overwrite, from: trained.path });
  const parents = await makeFolders(dirname(resolve(out)));
  try {
    await removeStaleTemporaries(dirname(resolve(out)), { of: resolve(out) });
    let files: ExportResult["files"] = {};
    await writeDirectoryAtomic(resolve(out), async (folder) => {
      files = await writeFiles(folder, trained, weights);
    });
    return { out, step: trained.step, files };
  } catch (error) {
    await removeFolders(parents);
    throw error;
  }
}

/** Throws "usage" for a folder that holds anything, unless it is an export that may be replaced. */
async function requirePlace({
  out,
  overwrite,
  from,
}: {
  readonly out: string;
  readonly overwrite: boolean;
  readonly from: string;
}): Promise<void> {
  if (!existsSync(out)) return;
  const refuse = (problem: string) => new LonghandError("usage", `\`out\` ${out}: ${problem}`);
  if (resolve(out) === resolve(from)) throw refuse("this is the model to be exported; choose another folder");
  const ours = (await folderFormat(out)) === EXPORT_FORMAT;
  if (!ours) throw refuse("it exists and is no export of Longhand; choose another folder");
  if (!overwrite) throw refuse("this export exists; choose another folder, or replace it with `overwrite`");
}

async function writeFiles(folder: string, trained: TrainedModel, format: WeightFormat): Promise<ExportResult["files"]> {
  const { config, tokenizer, step, bytesPerToken, parameters, path } = trained;
  const write = (name: string, ...chunks: (Uint8Array | string)[]) => writeFlushed(join(folder, name), chunks, "wx");
  const weights = encodeWeights(parameters, config.model, { format, where: path });
  await write(WEIGHTS_FILE, ...weights.chunks);
  for (const [name, bytes] of Object.entries(encodeGraphs(config, weights.stored))) await write(name, bytes);
  await write(TOKENIZER_FILE, tokenizer.json);
  await write(TORCH_MODULE, torchModule());
  const files = await listed(folder);
  const known = { longhand: version, step, tokenizerDigest: tokenizer.digest, ...(bytesPerToken && { bytesPerToken }) };
  const written = parseExportConfig({ ...known, ...config, files });
  await write(CONFIG_FILE, encodeExportConfig(written));
  await write(README_FILE, readmeOf(written, format));
  return Object.fromEntries(Object.entries(files).map(([name, { bytes }]) => [name, bytes]));
}

/** Length and checksum of every file of a folder. */
async function listed(folder: string): Promise<ExportConfig["files"]> {
  const files: ExportConfig["files"] = {};
  for (const name of (await readdir(folder)).sort()) {
    const bytes = await readWhole(join(folder, name));
    files[name] = { bytes: bytes.length, sha256: sha256(bytes) };
  }
  return files;
}
