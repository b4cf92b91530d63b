/** The files of an export, and reading one of them as its config.json lists it: of that length, with that checksum. */
import { join } from "node:path";
import { decodeCheckedJson, encodeCheckedJson, type JsonKind, type Refuse } from "../../base/checked-json.ts";
import { LonghandError, messageOf } from "../../base/errors.ts";
import { sha256 } from "../../base/files.node.ts";
import { readText, readWhole } from "../../checkpoint/read.node.ts";
import { type ExportConfig, parseExportConfig } from "../../config/export-config.ts";

export const EXPORT_FORMAT = "longhand-export";
export const CONFIG_FILE = "config.json";
export const TOKENIZER_FILE = "tokenizer.json";
export const WEIGHTS_FILE = "model.safetensors";
export const README_FILE = "README.md";

const KIND: JsonKind = {
  format: EXPORT_FORMAT,
  what: "the configuration of an export",
  version: 1,
  checksum: { field: "sha256", digest: sha256 },
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

export async function readExportConfig(folder: string): Promise<ExportConfig> {
  const file = join(folder, CONFIG_FILE);
  return decodeExportConfig(await readText(file), file);
}

/**
 * The bytes of a file of an export. Throws "checkpoint" when it is not listed, is missing, or is not what was exported; a
 * file of another length before memory is taken for it.
 */
export async function readListed(folder: string, name: string, { files }: ExportConfig): Promise<Uint8Array> {
  const file = join(folder, name);
  if (!Object.hasOwn(files, name)) {
    throw new LonghandError("checkpoint", `${join(folder, CONFIG_FILE)}: it lists no ${name}, which an export has`);
  }
  const { bytes: length, sha256: digest } = files[name];
  const bytes = await readWhole(file, length);
  if (sha256(bytes) === digest) return bytes;
  throw new LonghandError(
    "checkpoint",
    `${file}: it does not match its checksum: it was changed after it was exported`,
  );
}
