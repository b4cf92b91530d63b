/** Training as a user asks for it: from settings to a run folder. */
import { join } from "node:path";
import { writeFileAtomic } from "../../checkpoint/atomic.node.ts";
import { createRunFolder, writeConfig } from "../../checkpoint/run-folder.node.ts";
import type { RunLock } from "../../checkpoint/run-lock.node.ts";
import { corporaIn } from "../../config/corpora.ts";
import { resolveConfig, withData } from "../../config/resolve.ts";
import { parseTrainSettings, type TrainSettingsInput } from "../../config/train-settings.ts";
import { corporaOf, defaultRunFolder } from "../data/corpora.ts";
import { prepareRunData } from "../data/run-data.ts";
import type { RunData } from "../data/run-tokens.ts";
import { chooseDevice } from "../machine/choose-device.ts";
import { requireDevice } from "../machine/device.ts";
import { requireMemory } from "../machine/memory.ts";
import { thisMachine } from "../machine/this-machine.ts";
import { beginning, lockRun, runLoop, type TrainOptions, type TrainResult } from "./run-loop.ts";

/** Trains a new model. Throws `usage` for wrong settings or a run folder that exists, `data` for a text that cannot be used. */
export async function train(input: TrainSettingsInput, options: TrainOptions = {}): Promise<TrainResult> {
  const settings = parseTrainSettings(input);
  const { onEvent = () => {} } = options;
  // A wrong configuration is refused before anything is written or tokenized.
  let config = resolveConfig(settings, thisMachine(), options.overrides);
  const run = settings.out ?? defaultRunFolder(corporaIn(config).map(({ path }) => path));
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
        await writeFileAtomic(join(run, "tokenizer.json"), [tokenizer.json]);
      },
    });
  } catch (error) {
    lock?.release();
    await folder.undo();
    throw error;
  }
  try {
    const built = draft.vocabSize === config.model.vocabSize ? draft.built : undefined;
    const found = { built, deviceReason: chosen?.reason };
    return await runLoop(run, config, data, beginning(config, corporaOf(config, data)), { ...options, ...found });
  } finally {
    lock.release();
  }
}
