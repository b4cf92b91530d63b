/** The parameters that a run begins from, where it goes on from a trained model. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import type { HostTensor } from "../../base/dtype.ts";
import { LonghandError, messageOf } from "../../base/errors.ts";
import { digestOfTensors } from "../../checkpoint/digest.node.ts";
import type { Source } from "../../config/from-model.ts";
import type { RunConfig } from "../../config/run-config.ts";
import { BASE_FILE, readBase } from "../use/base.ts";
import { readTrained, type TrainedModel } from "../use/trained.ts";

export type Start = Readonly<Record<string, HostTensor>>;

/** What a configuration keeps of a trained model. */
export function sourceOf({ path, config, step, bytesPerToken, parameters }: TrainedModel): Source {
  const folder = resolve(path);
  const [weights, tokenizer] = [digestOfTensors(parameters), join(folder, "tokenizer.json")];
  return { path: folder, config, step, weights, tokenizer, bytesPerToken };
}

/**
 * What a run that goes on needs of the model that it began from: under an adapter its parameters, before the first checkpoint
 * the same; else nothing, since checkpoints hold everything. Throws `checkpoint` when they are gone or have changed.
 */
export async function startOf(
  run: string,
  config: RunConfig,
  { started, onWarning }: { readonly started: boolean; readonly onWarning: (message: string) => void },
): Promise<Start | undefined> {
  const { from, training } = config;
  if (training.adapter !== undefined && (started || existsSync(join(run, BASE_FILE)))) return readBase(run, config);
  if (from === undefined || started) return undefined;
  const gone = (problem: string, cause?: unknown) => {
    const what = `${run} has no checkpoint yet, and ${from.path}, from which it was to begin,`;
    return new LonghandError("checkpoint", `${what} ${problem}; bring that back, or train anew`, { cause });
  };
  const source = await readTrained(from.path, { onWarning }).catch((error: unknown) => {
    throw gone(`cannot be read (${messageOf(error)})`, error);
  });
  if (digestOfTensors(source.parameters) !== from.weights) throw gone("has other parameters now");
  return source.parameters;
}
