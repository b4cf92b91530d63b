/**
 * What an export consists of, and the checks of its files: each as `config.json` lists it, nothing used before. How the bytes
 * are read is up to the caller (run/export/read.ts from a folder, web/source.ts in a browser).
 */
import { decodeCheckedJson, encodeCheckedJson, type JsonKind, type Refuse } from "../base/checked-json.ts";
import { LonghandError, messageOf } from "../base/errors.ts";
import { sha256Hex } from "../base/sha256.ts";
import { type ExportConfig, parseExportConfig } from "../config/export-config.ts";
import type { TextTokenizer } from "../data/tokenizer.ts";
import type { TrainedModel } from "./trained-model.ts";
import { decodeWeights } from "./weights.ts";

export const EXPORT_FORMAT = "longhand-export";
export const CONFIG_FILE = "config.json";
export const TOKENIZER_FILE = "tokenizer.json";
export const WEIGHTS_FILE = "model.safetensors";
export const README_FILE = "README.md";

const KIND: JsonKind = {
  format: EXPORT_FORMAT,
  what: "the configuration of an export",
  version: 1,
  checksum: { field: "sha256", digest: sha256Hex },
};

/** The text of config.json. */
export function encodeExportConfig(config: ExportConfig): string {
  return encodeCheckedJson(KIND, config);
}

/** Reads config.json, called `file` in errors. Throws "config" when it is damaged, of another version, or no export's. */
export function decodeExportConfig(text: string, file: string): ExportConfig {
  const refuse: Refuse = (problem, cause) => {
    throw new LonghandError("config", `${file}: ${problem}`, { cause });
  };
  const fields = decodeCheckedJson(text, KIND, refuse);
  try {
    return parseExportConfig(fields);
  } catch (error) {
    return refuse(messageOf(error), error);
  }
}

/** Where the files of an export come from. */
export interface ExportSource {
  /** What it is called in errors. */
  readonly path: string;
  /** What a file of it is called there. */
  fileOf(name: string): string;
  /** The bytes of a file. Throws where it is missing, and, before memory is taken for it, where it has another length. */
  read(name: string, length?: number): Promise<Uint8Array>;
  /** 64 hexadecimal digits. */
  sha256(bytes: Uint8Array): string | Promise<string>;
  tokenizer(json: string, file: string): TextTokenizer;
}

/** Throws "config", "data" or "checkpoint", naming the file, for an export that is incomplete, damaged, or contradicts itself. */
export async function readExportFrom(source: ExportSource): Promise<Omit<TrainedModel, "engine">> {
  const config = await readExportConfig(source);
  const { model, training, step, bytesPerToken } = config;
  const json = await readListed(source, TOKENIZER_FILE, config);
  const tokenizer = decodeTokenizer(json, config, { ...source, file: source.fileOf(TOKENIZER_FILE) });
  const weights = await readListed(source, WEIGHTS_FILE, config);
  const { parameters } = decodeWeights(weights, model, source.fileOf(WEIGHTS_FILE));
  return { path: source.path, config: { model, training }, tokenizer, bytesPerToken, parameters, step };
}

export async function readExportConfig(source: Pick<ExportSource, "fileOf" | "read">): Promise<ExportConfig> {
  const file = source.fileOf(CONFIG_FILE);
  const bytes = await source.read(CONFIG_FILE);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new LonghandError("checkpoint", `${file}: it is not UTF-8 text, so it is damaged`, { cause: error });
  }
  return decodeExportConfig(text, file);
}

/** The bytes of a file of an export. Throws "checkpoint" when it is not listed, is missing, or is not what was exported. */
export async function readListed(
  source: Pick<ExportSource, "fileOf" | "read" | "sha256">,
  name: string,
  { files }: ExportConfig,
): Promise<Uint8Array> {
  if (!Object.hasOwn(files, name)) {
    throw new LonghandError("checkpoint", `${source.fileOf(CONFIG_FILE)}: it lists no ${name}, which an export has`);
  }
  const { bytes: length, sha256: digest } = files[name];
  const bytes = await source.read(name, length);
  if ((await source.sha256(bytes)) === digest) return bytes;
  throw new LonghandError(
    "checkpoint",
    `${source.fileOf(name)}: it does not match its checksum: it was changed after it was exported`,
  );
}

/** The tokenizer in the bytes of a file, which must be that of the configuration. */
export function decodeTokenizer(
  bytes: Uint8Array,
  { tokenizerDigest, model }: Pick<ExportConfig, "tokenizerDigest" | "model">,
  { file, tokenizer: load }: { readonly file: string } & Pick<ExportSource, "tokenizer">,
): TextTokenizer {
  let json: string;
  try {
    json = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new LonghandError("data", `tokenizer: ${file} is not UTF-8 text (${messageOf(error)})`, { cause: error });
  }
  const tokenizer = load(json, file);
  if (tokenizer.digest !== tokenizerDigest)
    throw new LonghandError("checkpoint", `${file}: it is not the tokenizer that config.json names by its checksum`);
  if (tokenizer.vocabSize === model.vocabSize) return tokenizer;
  throw new LonghandError(
    "checkpoint",
    `${file}: expected the ${model.vocabSize} tokens of the model, got ${tokenizer.vocabSize}`,
  );
}
