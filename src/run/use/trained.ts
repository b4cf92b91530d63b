/** A trained model as it was saved: what is needed to use it, to train it further or to write it out in another form. */
import { loadLatestCheckpoint } from "../../checkpoint/checkpoints.node.ts";
import { digestOfTensors } from "../../checkpoint/digest.node.ts";
import { requireTensors } from "../../checkpoint/require-tensors.ts";
import { folderFormat, readConfig } from "../../checkpoint/run-folder.node.ts";
import { parseRunConfig } from "../../config/run-config.ts";
import { withAdapters } from "../../models/adapters.ts";
import { EXPORT_FORMAT } from "../../use/export-files.ts";
import type { TrainedModel } from "../../use/trained-model.ts";
import { typesOf } from "../../use/weights.ts";
import { loadRunTokenizer } from "../data/run-tokens.ts";
import { readExport } from "../export/read.ts";
import { type Adapter, adapterTypes, readAdapter } from "./adapter.ts";
import { readBase } from "./base.ts";

export type { TrainedModel } from "../../use/trained-model.ts";

export interface ReadTrainedOptions {
  /** Adapters that are added to it: their files, or folders of the runs that trained them. */
  readonly adapter?: readonly string[] | undefined;
  /** Told about each damaged checkpoint that was passed over. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/**
 * Reads the newest whole checkpoint of a run, or an export, and adds adapters to it. Throws `checkpoint` or `config` for a
 * folder that cannot be used, and for an adapter that is damaged or was trained beside other parameters.
 */
export async function readTrained(
  path: string,
  { adapter, ...options }: ReadTrainedOptions = {},
): Promise<TrainedModel> {
  const { base, ...trained } = await readFolder(path, options);
  if (adapter === undefined) return trained;
  const bases = [base, trained.parameters].flatMap((parameters) => (parameters ? [digestOfTensors(parameters)] : []));
  const adapters: Adapter[] = [];
  for (const file of adapter) adapters.push(await readAdapter(file, { path, model: trained.config.model, bases }));
  return { ...trained, parameters: withAdapters(trained.parameters, adapters) };
}

/** `base`: the parameters without the run's own adapter, where it has one. */
type Read = TrainedModel & { readonly base?: TrainedModel["parameters"] };

async function readFolder(path: string, options: ReadTrainedOptions): Promise<Read> {
  return (await folderFormat(path)) === EXPORT_FORMAT ? readExport(path) : readRun(path, options);
}

async function readRun(path: string, { onWarning }: ReadTrainedOptions): Promise<Read> {
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
