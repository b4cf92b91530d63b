/** A trained model as it was saved: what is needed to use it, to train it further or to write it out in another form. */
import type { HostTensor, TensorType } from "../../base/dtype.ts";
import { loadLatestCheckpoint } from "../../checkpoint/checkpoints.node.ts";
import { readConfig } from "../../checkpoint/run-folder.node.ts";
import { parseRunConfig } from "../../config/run-config.ts";
import type { TrainedConfig } from "../../config/trained-config.ts";
import type { TextTokenizer } from "../../data/tokenizer.node.ts";
import type { ModelConfig } from "../../models/architecture.ts";
import { parametersOf } from "../../models/language-model.ts";
import type { Device } from "../../runtime/engine.ts";
import { loadRunTokenizer } from "../data/run-tokens.ts";
import { requireTensors } from "../train/state.ts";

export interface TrainedModel {
  /** Path of the folder. */
  readonly path: string;
  readonly config: TrainedConfig;
  readonly tokenizer: TextTokenizer;
  /** By path, those of the configuration and no others. */
  readonly parameters: Readonly<Record<string, HostTensor>>;
  /** Optimiser steps behind it. */
  readonly step: number;
  /** Where and with how many threads it was trained. */
  readonly engine: { readonly device: Device; readonly threads: number };
}

export interface ReadTrainedOptions {
  /** Told about each damaged checkpoint that was passed over. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** Reads the newest whole checkpoint of a run. Throws `checkpoint` or `config` for a folder that cannot be used. */
export async function readTrained(path: string, { onWarning }: ReadTrainedOptions = {}): Promise<TrainedModel> {
  const { model, training, engine, ...config } = await readConfig(path, parseRunConfig);
  const tokenizer = await loadRunTokenizer(path, config);
  const { objective, context, documents, carry } = training;
  const checkpoint = await loadLatestCheckpoint(path, { parts: "model", ...(onWarning && { onWarning }) });
  requireTensors(checkpoint.model, typesOf(model), checkpoint.path);
  return {
    path,
    config: { model, training: { objective, context, documents, carry } },
    tokenizer,
    parameters: checkpoint.model,
    step: checkpoint.step,
    engine,
  };
}

function typesOf(model: ModelConfig): Record<string, TensorType> {
  return Object.fromEntries(parametersOf(model).map(({ path, shape }) => [path, { dtype: "float32", shape }]));
}
