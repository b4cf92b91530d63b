/** A trained model as an export has it. Nothing in the folder is used before it has been checked. */
import { join } from "node:path";
import { LonghandError, messageOf } from "../../base/errors.ts";
import { availableProcessors } from "../../base/processors.node.ts";
import type { ExportConfig } from "../../config/export-config.ts";
import { tokenizerFromJson } from "../../data/tokenizer.node.ts";
import type { TextTokenizer } from "../../data/tokenizer.ts";
import type { TrainedModel } from "../use/trained-model.ts";
import { readExportConfig, readListed, TOKENIZER_FILE, WEIGHTS_FILE } from "./files.ts";
import { decodeWeights } from "./weights.ts";

/** Throws "config", "data" or "checkpoint", naming the file, for an export that is incomplete, damaged, or contradicts itself. */
export async function readExport(path: string): Promise<TrainedModel> {
  const config = await readExportConfig(path);
  const { model, training, step, bytesPerToken } = config;
  const json = await readListed(path, TOKENIZER_FILE, config);
  const tokenizer = decodeTokenizer(json, config, join(path, TOKENIZER_FILE));
  const weights = await readListed(path, WEIGHTS_FILE, config);
  const { parameters } = decodeWeights(weights, model, join(path, WEIGHTS_FILE));
  const engine = { device: "cpu", threads: availableProcessors() } as const;
  return { path, config: { model, training }, tokenizer, bytesPerToken, parameters, step, engine };
}

/** The tokenizer in the bytes of a file, which must be that of the configuration. */
export function decodeTokenizer(bytes: Uint8Array, config: ExportConfig, file: string): TextTokenizer {
  let json: string;
  try {
    json = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new LonghandError("data", `tokenizer: ${file} is not UTF-8 text (${messageOf(error)})`, { cause: error });
  }
  const tokenizer = tokenizerFromJson(json, file);
  const { tokenizerDigest, model } = config;
  if (tokenizer.digest !== tokenizerDigest)
    throw new LonghandError("checkpoint", `${file}: it is not the tokenizer that config.json names by its checksum`);
  if (tokenizer.vocabSize === model.vocabSize) return tokenizer;
  throw new LonghandError(
    "checkpoint",
    `${file}: expected the ${model.vocabSize} tokens of the model, got ${tokenizer.vocabSize}`,
  );
}
