/** What is to be said of a run and of an export, and whether what they hold is whole. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../../base/errors.ts";
import { listCheckpoints } from "../../checkpoint/checkpoints.node.ts";
import { digestOfTensors } from "../../checkpoint/digest.node.ts";
import { decodeSafetensors } from "../../checkpoint/safetensors.ts";
import { parameterCount } from "../../models/language-model.ts";
import { architectureOf } from "../../models/registry.ts";
import { readExportConfig, readListed, WEIGHTS_FILE } from "../../use/export-files.ts";
import type { TrainedModel } from "../../use/trained-model.ts";
import { exportFolder, readExport } from "../export/read.ts";
import { readTrained } from "../use/trained.ts";

export type Facts = Readonly<Record<string, unknown>>;

interface Model {
  readonly facts: Facts;
  readonly problems: readonly string[];
}

export async function inspectRun(path: string): Promise<Model> {
  const problems: string[] = [];
  const trained = await readTrained(path, { onWarning: (message) => problems.push(message) });
  const checkpoints = (await listCheckpoints(path)).map(({ step }) => step);
  const facts = { ...modelFacts(trained), weights: "float32", checkpoints, bytes: await bytesBelow(path) };
  return { facts, problems };
}

export async function inspectExport(path: string): Promise<Model> {
  const config = await readExportConfig(exportFolder(path));
  const problems: string[] = [];
  const told = (error: unknown) => void problems.push(messageOf(error));
  for (const name of Object.keys(config.files)) await readListed(exportFolder(path), name, config).catch(told);
  const { longhand, files, model, training, step, tokenizerDigest } = config;
  const sizes = Object.fromEntries(Object.entries(files).map(([name, { bytes }]) => [name, bytes]));
  const about = { ...configFacts({ model, training }), step, tokenizer: tokenizerDigest, longhand, files: sizes };
  if (problems.length > 0) return { facts: about, problems };
  const weights = decodeSafetensors(await readListed(exportFolder(path), WEIGHTS_FILE, config), WEIGHTS_FILE).metadata
    .weights;
  const trained = await readExport(path);
  return { facts: { ...about, ...modelFacts(trained), weights: weights ?? "float32" }, problems };
}

function modelFacts({ config, step, tokenizer, parameters }: TrainedModel): Facts {
  return { ...configFacts(config), step, tokenizer: tokenizer.digest, parametersDigest: digestOfTensors(parameters) };
}

function configFacts({ model, training }: TrainedModel["config"]): Facts {
  const { vocabSize, width, layers } = model;
  const { objective, context } = training;
  const size = { parameters: parameterCount(model), layers, width, vocabulary: vocabSize };
  return { architecture: architectureOf(model).label, ...size, objective, context };
}

/** The files of a folder and their bytes together. */
async function bytesBelow(folder: string): Promise<number> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}
