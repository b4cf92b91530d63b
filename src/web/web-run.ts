/**
 * A run folder in a page: the same files as Node's (docs/layout.md), so that either goes on with what the other wrote.
 * A checkpoint counts when its `state.json` is there, which is written last and has the checksums of the rest; so a tab
 * that is closed while it saves leaves the checkpoint before it.
 */
import { LonghandError } from "../base/errors.ts";
import { sha256Hex } from "../base/sha256.ts";
import {
  type CheckpointReader,
  checkpointFolder,
  decodeCheckpoint,
  encodeCheckpoint,
  type FullCheckpoint,
  STATE_FILE,
  stepOfFolder,
  utf8Of,
} from "../checkpoint/checkpoint-files.ts";
import { CONFIG_FILE, decodeConfig, encodeConfig } from "../checkpoint/config-file.ts";
import { requireTensors } from "../checkpoint/require-tensors.ts";
import { corporaIn } from "../config/corpora.ts";
import { parseRunConfig, type RunConfig } from "../config/run-config.ts";
import { nameOf } from "../data/data-spec.ts";
import type { TextTokenizer } from "../data/tokenizer.ts";
import { evaluated, requireLength, splitEnd, withBorder } from "../training/corpora.ts";
import { recordsUpTo } from "../training/records.ts";
import type { OpenTokens, RunKeeper } from "../training/run-training.ts";
import type { TrainedModel } from "../use/trained-model.ts";
import { typesOf } from "../use/weights.ts";
import type { RunFiles } from "./run-files.ts";
import { readShards } from "./shards.ts";
import { webTokenizer } from "./tokenizer.ts";

export const CHECKPOINTS = "checkpoints";
const METRICS_FILE = "metrics.jsonl";
const TOKENIZER_FILE = "tokenizer.json";
export const DATA_FOLDER = "data";

/** Throws `checkpoint` where there is no run, `config` for a damaged configuration. */
export async function readRunConfig(files: RunFiles): Promise<RunConfig> {
  const bytes = await files.read(CONFIG_FILE);
  if (bytes === undefined)
    throw new LonghandError(
      "checkpoint",
      `this is no run folder: it has no ${CONFIG_FILE}; choose one that a training wrote`,
    );
  return decodeConfig(utf8Of(bytes, CONFIG_FILE), CONFIG_FILE, parseRunConfig);
}

export async function writeRunConfig(files: RunFiles, config: RunConfig): Promise<void> {
  await files.write(CONFIG_FILE, [encodeConfig(config, CONFIG_FILE)]);
}

/** Throws `checkpoint` for another tokenizer than that of the run's configuration. */
export async function readRunTokenizer(files: RunFiles, { data }: RunConfig): Promise<TextTokenizer> {
  const bytes = await files.read(TOKENIZER_FILE);
  const tokenizer = bytes && webTokenizer(utf8Of(bytes, TOKENIZER_FILE), TOKENIZER_FILE);
  if (tokenizer?.digest === data.tokenizerDigest) return tokenizer;
  throw new LonghandError("checkpoint", `${TOKENIZER_FILE}: it is not the tokenizer that the run was trained with`);
}

export async function writeRunTokenizer(files: RunFiles, { json }: TextTokenizer): Promise<void> {
  await files.write(TOKENIZER_FILE, [json]);
}

/** The tokens that a run has learnt from. Throws "data" for one that read them elsewhere, and as readShards. */
export async function openRunTokens(files: RunFiles, config: RunConfig, tokenizer: TextTokenizer): Promise<OpenTokens> {
  const { evalPath, evalFraction, evalTokens } = config.data;
  const [{ path, weight }, ...others] = corporaIn(config);
  const paths = await files.list();
  const has = (name: string) => paths.includes(`${DATA_FOLDER}/${name}/index.json`);
  if (others.length > 0 || !has("train") || (evalPath !== undefined && !has("heldout"))) {
    throw new LonghandError(
      "data",
      `data: this run does not hold all the tokens that it learns from; give it a text of its own to go on with`,
    );
  }
  const read = (name: string) => readShards(files, `${DATA_FOLDER}/${name}`, tokenizer.digest);
  const all = await read("train");
  const [name] = nameOf(path).split(/[/\\]/).slice(-1);
  requireLength(all.tokens, config.training, path);
  let [train, end]: [OpenTokens["heldOut"][0], OpenTokens["heldOut"][0]] = [all, all];
  if (has("heldout")) end = await read("heldout");
  else {
    const split = splitEnd(all, evalFraction, path);
    requireLength(split.train.tokens, config.training, path);
    [train, end] = [split.train, split.heldOut];
  }
  return {
    tokenizer,
    corpora: [{ name, weight, sequence: withBorder(config, tokenizer, train), digest: all.digest }],
    heldOut: [evaluated(end, evalTokens, path)],
    trainTokens: train.tokens,
  };
}

/** The lines of metrics.jsonl: records of steps, evaluations, samples. */
export async function readRecords(files: RunFiles): Promise<string[]> {
  const bytes = await files.read(METRICS_FILE);
  return bytes === undefined ? [] : new TextDecoder().decode(bytes).trim().split("\n");
}

/** Steps of which there is a checkpoint, ascending; whether it is whole is not read. */
export async function checkpointSteps(files: RunFiles): Promise<number[]> {
  const steps = (await files.list()).flatMap((path) => {
    const [folder, name, file] = path.split("/");
    const step = folder === CHECKPOINTS && file === STATE_FILE ? stepOfFolder(name) : undefined;
    return step === undefined ? [] : [step];
  });
  return steps.sort((a, b) => a - b);
}

/** The newest whole checkpoint; undefined where there is none at all. Throws `checkpoint` when all are damaged. */
export async function readNewestCheckpoint(
  files: RunFiles,
  onWarning: (message: string) => void,
): Promise<FullCheckpoint | undefined> {
  let reason: LonghandError | undefined;
  for (const step of (await checkpointSteps(files)).toReversed()) {
    try {
      return await decodeCheckpoint(readerOf(files, step), "all");
    } catch (error) {
      if (!(error instanceof LonghandError) || error.code !== "checkpoint") throw error;
      reason ??= error;
      onWarning(`skipping a damaged checkpoint: ${error.message}`);
    }
  }
  if (reason !== undefined) throw reason;
  return undefined;
}

const folderOf = (step: number) => `${CHECKPOINTS}/${checkpointFolder(step)}`;

function readerOf(files: RunFiles, step: number): CheckpointReader {
  const path = folderOf(step);
  const nameOf = (file: string) => `${path}/${file}`;
  const read = async (file: string, expected?: number) => {
    const bytes = await files.read(nameOf(file));
    if (bytes === undefined) throw new LonghandError("checkpoint", `${nameOf(file)}: it is missing`);
    if (expected === undefined || bytes.length === expected) return bytes;
    throw new LonghandError("checkpoint", `${nameOf(file)}: ${bytes.length} bytes long instead of ${expected}`);
  };
  return { path, nameOf, read, sha256: sha256Hex };
}

export interface WebKeeper extends RunKeeper {
  /** Writes records that came after the last checkpoint. */
  flush(): Promise<void>;
}

/** Keeps a run that stands at this step; records and damaged checkpoints of later steps are dropped. */
export async function keepRun(files: RunFiles, step: number): Promise<WebKeeper> {
  for (const later of await checkpointSteps(files)) if (later > step) await files.remove(folderOf(later));
  const lines: (Uint8Array | string)[] = [
    ...recordsUpTo((await files.read(METRICS_FILE)) ?? new Uint8Array(0), step).kept,
  ];
  const flush = () => files.write(METRICS_FILE, lines);
  return {
    flush,
    saveConfig: (config) => writeRunConfig(files, config),
    hasCheckpoint: async () => (await checkpointSteps(files)).length > 0,
    async saveCheckpoint(content, { keep, always }) {
      const folder = folderOf(content.step);
      await files.remove(folder);
      for (const { name, parts } of encodeCheckpoint(content, sha256Hex)) await files.write(`${folder}/${name}`, parts);
      await flush();
      const older = (await checkpointSteps(files)).filter((own) => own <= content.step).toReversed();
      for (const own of older.slice(keep)) if (own !== always) await files.remove(folderOf(own));
      return folder;
    },
    record: (record) => void lines.push(`${JSON.stringify(record)}\n`),
  };
}

/** The newest whole checkpoint of a run as a model in use; `path` is the run's name. Throws `checkpoint` where there is none. */
export async function readTrainedRun(
  files: RunFiles,
  path: string,
  onWarning: (message: string) => void,
): Promise<Omit<TrainedModel, "engine">> {
  const config = await readRunConfig(files);
  const { model, training, data } = config;
  if (training.adapter !== undefined) {
    throw new LonghandError(
      "checkpoint",
      `${path}: it trains an adapter beside another model; export it, and use that`,
    );
  }
  const tokenizer = await readRunTokenizer(files, config);
  const checkpoint = await readNewestCheckpoint(files, onWarning);
  if (checkpoint === undefined) throw new LonghandError("checkpoint", `${path}: it holds no checkpoint yet`);
  requireTensors(checkpoint.model, typesOf(model), checkpoint.path);
  const { objective, context, documents, carry } = training;
  return {
    path,
    config: { model, training: { objective, context, documents, carry } },
    ...{ tokenizer, parameters: checkpoint.model, step: checkpoint.step, bytesPerToken: data.bytesPerToken },
  };
}
