/** A trained model as it was saved: what is needed to use it, to train it further or to write it out in another form. */
import type { HostTensor, TensorType } from "../../base/dtype.ts";
import { LonghandError } from "../../base/errors.ts";
import { loadLatestCheckpoint } from "../../checkpoint/checkpoints.node.ts";
import { digestOfTensors } from "../../checkpoint/digest.node.ts";
import { readConfig } from "../../checkpoint/run-folder.node.ts";
import { parseRunConfig } from "../../config/run-config.ts";
import type { TrainedConfig } from "../../config/trained-config.ts";
import type { TextTokenizer } from "../../data/tokenizer.node.ts";
import type { ModelConfig } from "../../models/architecture.ts";
import { parametersOf } from "../../models/language-model.ts";
import type { Device } from "../../runtime/engine.ts";
import { loadRunTokenizer } from "../data/run-tokens.ts";
import { requireTensors } from "../train/state.ts";
import { type Adapter, adapterTypes, readAdapter, withAdapters } from "./adapter.ts";
import { readBase } from "./base.ts";

export interface TrainedModel {
  /** Path of the folder. */
  readonly path: string;
  readonly config: TrainedConfig;
  readonly tokenizer: TextTokenizer;
  /** Bytes that a token stands for in the text that the tokenizer was first used on, if that is known. */
  readonly bytesPerToken?: number | undefined;
  /** By path, those of the configuration and no others. */
  readonly parameters: Readonly<Record<string, HostTensor>>;
  /** Optimiser steps behind it. */
  readonly step: number;
  /** Where and with how many threads it was trained. */
  readonly engine: { readonly device: Device; readonly threads: number };
}

export interface ReadTrainedOptions {
  /** Adapters that are added to it: their files, or folders of the runs that trained them. */
  readonly adapter?: readonly string[] | undefined;
  /** Told about each damaged checkpoint that was passed over. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/**
 * Reads the newest whole checkpoint of a run, and adds adapters to it. Throws `checkpoint` or `config` for a folder that cannot
 * be used, and for an adapter that is damaged or was trained beside other parameters.
 */
export async function readTrained(
  path: string,
  { adapter, ...options }: ReadTrainedOptions = {},
): Promise<TrainedModel> {
  const { base, ...trained } = await readRun(path, options);
  if (adapter === undefined) return trained;
  const { model } = trained.config;
  const known = [base, trained.parameters].map((parameters) => parameters && digestOfTensors(parameters));
  const adapters: Adapter[] = [];
  for (const file of adapter) {
    const own = await readAdapter(file, model);
    if (!known.includes(own.base)) {
      throw new LonghandError(
        "checkpoint",
        `\`adapter\` ${file}: it was trained beside other parameters than those of ${path}; give it to the model that it was trained from`,
      );
    }
    adapters.push(own);
  }
  return { ...trained, parameters: withAdapters(trained.parameters, adapters) };
}

/** `base`: the parameters without the run's own adapter, where it has one. */
async function readRun(
  path: string,
  { onWarning }: ReadTrainedOptions,
): Promise<TrainedModel & { readonly base?: TrainedModel["parameters"] }> {
  const { model, training, engine, ...config } = await readConfig(path, parseRunConfig);
  const tokenizer = await loadRunTokenizer(path, config);
  const { objective, context, documents, carry, adapter } = training;
  const checkpoint = await loadLatestCheckpoint(path, { parts: "model", ...(onWarning && { onWarning }) });
  const { step, model: tensors } = checkpoint;
  requireTensors(tensors, adapter ? adapterTypes(model, adapter) : typesOf(model), checkpoint.path);
  const base = adapter && (await readBase(path, { ...config, model }));
  const parameters = adapter && base ? withAdapters(base, [{ config: adapter, tensors }]) : tensors;
  return {
    path,
    config: { model, training: { objective, context, documents, carry } },
    ...{ tokenizer, parameters, step, engine, bytesPerToken: config.data.bytesPerToken },
    ...(base && { base }),
  };
}

function typesOf(model: ModelConfig): Record<string, TensorType> {
  return Object.fromEntries(parametersOf(model).map(({ path, shape }) => [path, { dtype: "float32", shape }]));
}
