/** Training as a user asks for it: from settings to a run folder. */
import { join, resolve } from "node:path";
import { LonghandError } from "../../base/errors.ts";
import { writeFileAtomic } from "../../checkpoint/atomic.node.ts";
import { createRunFolder, writeConfig } from "../../checkpoint/run-folder.node.ts";
import type { RunLock } from "../../checkpoint/run-lock.node.ts";
import { corporaIn } from "../../config/corpora.ts";
import { refuseOfModel, withTrained } from "../../config/from-model.ts";
import { resolveConfig, withData } from "../../config/resolve.ts";
import { parseTrainSettings, type TrainSettings, type TrainSettingsInput } from "../../config/train-settings.ts";
import { beginning } from "../../training/run-training.ts";
import { corporaOf, defaultRunFolder } from "../data/corpora.ts";
import { prepareRunData } from "../data/run-data.ts";
import type { RunData } from "../data/run-tokens.ts";
import { unfamiliar } from "../data/unfamiliar.ts";
import { chooseDevice } from "../machine/choose-device.ts";
import { requireDevice } from "../machine/device.ts";
import { requireMemory } from "../machine/memory.ts";
import { thisMachine } from "../machine/this-machine.ts";
import { writeBase } from "../use/base.ts";
import { readTrained, type TrainedModel } from "../use/trained.ts";
import { lockRun, runLoop, type TrainOptions, type TrainResult } from "./run-loop.ts";
import { sourceOf } from "./start.ts";

/**
 * Trains a new model, or with `from` one that there is, into a run of its own. Throws `usage` for wrong settings or a run folder
 * that exists, `data` for a text that cannot be used, and as readTrained.
 */
export async function train(input: TrainSettingsInput, options: TrainOptions = {}): Promise<TrainResult> {
  const { onEvent = () => {} } = options;
  // A wrong configuration is refused before anything is written or tokenized.
  const { settings, trained } = await settingsOf(input, options);
  let config = resolveConfig(settings, thisMachine(), options.overrides, trained && sourceOf(trained));
  const run = settings.out ?? defaultRunFolder(corporaIn(config).map(({ path }) => path));
  if (trained && resolve(run) === resolve(trained.path))
    throw new LonghandError("usage", `\`out\` ${run}: \`from\` names the same folder; choose another`);
  const chosen =
    settings.device === "auto" && options.overrides?.["engine.device"] === undefined
      ? await chooseDevice(config.engine.threads)
      : undefined;
  if (chosen !== undefined) config = { ...config, engine: { ...config.engine, device: chosen.device } };
  await requireDevice(config.engine.device);
  const draft = { built: requireMemory(config), vocabSize: config.model.vocabSize };
  const folder = await createRunFolder(run, { overwrite: settings.overwrite });
  let lock: RunLock | undefined;
  let data: RunData;
  try {
    lock = await lockRun(run);
    data = await prepareRunData(run, config, {
      onProgress: (progress) => {
        options.signal?.throwIfAborted();
        onEvent({ type: "prepare", ...progress });
      },
      onWarning: (message) => onEvent({ type: "warning", message }),
      ready: async ({ tokenizer, ...opened }) => {
        config = withData(config, opened);
        await folder.empty();
        await writeConfig(run, config); // first: from here on the folder is known as a run
        if (trained && config.training.adapter) await writeBase(run, trained.parameters);
        await writeFileAtomic(join(run, "tokenizer.json"), [tokenizer.json]);
      },
    });
  } catch (error) {
    lock?.release();
    await folder.undo();
    throw error;
  }
  try {
    const corpora = corporaOf(config, data);
    if (trained) warnOfUnfamiliar(trained, corpora, data, (message) => onEvent({ type: "warning", message }));
    const built = draft.vocabSize === config.model.vocabSize ? draft.built : undefined;
    const start = trained?.parameters;
    const found = { built, deviceReason: chosen?.reason, start };
    return await runLoop(run, config, data, beginning(config, corpora, start), { ...options, ...found });
  } finally {
    lock.release();
  }
}

/** Says which texts the tokenizer of the model does not know well. */
function warnOfUnfamiliar(
  { bytesPerToken: own, tokenizer: { vocabSize } }: TrainedModel,
  names: readonly { readonly name: string }[],
  { bytesPerToken }: RunData,
  warn: (message: string) => void,
): void {
  for (const [i, { name }] of names.entries()) {
    const message = unfamiliar({ name, bytesPerToken: bytesPerToken[i] }, { own, vocabSize });
    if (message !== undefined) warn(message);
  }
}

/** Settings with their defaults, and the trained model that they name by `from`, which has some of its own. */
async function settingsOf(
  input: TrainSettingsInput,
  { overrides = {}, onEvent = () => {} }: TrainOptions,
): Promise<{ readonly settings: TrainSettings; readonly trained?: TrainedModel }> {
  const settings = parseTrainSettings(input);
  const { from } = settings;
  if (from === undefined) return { settings };
  refuseOfModel(from, input, overrides);
  const trained = await readTrained(from, { onWarning: (message) => onEvent({ type: "warning", message }) });
  return { settings: parseTrainSettings(withTrained(input, trained.config)), trained };
}
