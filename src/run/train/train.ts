/** Training as a user asks for it: from settings to a run folder. */
import { join, resolve } from "node:path";
import { LonghandError } from "../../base/errors.ts";
import { writeFileAtomic } from "../../checkpoint/atomic.node.ts";
import { createRunFolder, writeConfig } from "../../checkpoint/run-folder.node.ts";
import type { RunLock } from "../../checkpoint/run-lock.node.ts";
import { corporaIn } from "../../config/corpora.ts";
import { refuseOfModel, withTrained } from "../../config/from-model.ts";
import { resolveConfig, withData } from "../../config/resolve.ts";
import type { RunConfig } from "../../config/run-config.ts";
import { parseTrainSettings, type TrainSettings, type TrainSettingsInput } from "../../config/train-settings.ts";
import { alone } from "../../train/communicator.ts";
import { beginning } from "../../training/run-training.ts";
import { corporaOf, defaultRunFolder } from "../data/corpora.ts";
import { prepareRunData } from "../data/run-data.ts";
import { loadRunTokenizer, openRunTokens, type RunData } from "../data/run-tokens.ts";
import { unfamiliar } from "../data/unfamiliar.ts";
import { chooseDevice } from "../machine/choose-device.ts";
import { requireDevice } from "../machine/device.ts";
import { requireMemory } from "../machine/memory.ts";
import { type Neighbours, neighboursOf } from "../machine/neighbours.ts";
import { thisMachine } from "../machine/this-machine.ts";
import { writeBase } from "../use/base.ts";
import { readTrained, type TrainedModel } from "../use/trained.ts";
import { digestOf, factsOfMachine, factsOfRun, requireAlike } from "./alike.ts";
import { divisionOf, type LoopRunOptions, lockRun, runLoop, type TrainOptions, type TrainResult } from "./run-loop.ts";
import { sourceOf, startOf } from "./start.ts";
import { ANY_TIME_MS, fromFirst, together } from "./together.ts";

/** The first process makes the tokens while the others wait, however long it takes. */
const PREPARATION = { what: "the preparation of the text", limitMs: ANY_TIME_MS };

/**
 * Trains a new model, or with `from` one that there is, into a run of its own. Throws `usage` for wrong settings or a run folder
 * that exists, `data` for a text that cannot be used, and as readTrained.
 */
export async function train(input: TrainSettingsInput, options: TrainOptions = {}): Promise<TrainResult> {
  const { communicator = alone, overrides = {} } = options;
  await requireAlike(communicator, () => ({ ...factsOfMachine(), options: digestOf([input, overrides]) }));
  const neighbours = await neighboursOf(communicator);
  const first = communicator.rank === 0;
  const own = await together(communicator, PREPARATION, () => (first ? begin(input, options, neighbours) : undefined));
  try {
    const told = await fromFirst(communicator, own && { run: own.run, config: own.config }, PREPARATION);
    const what = "the opening of the data";
    const begun = await together(communicator, { what }, () => own ?? openBegun(told, options, neighbours));
    const { run, config, data, start } = begun;
    const state = beginning(config, corporaOf(config, data), start);
    const division = await together(communicator, { what }, () => divisionOf(config, state, options));
    await requireAlike(communicator, () => factsOfRun(data, state, division));
    return await runLoop(run, config, data, state, { ...options, ...begun, division });
  } finally {
    own?.lock?.release();
  }
}

/** A run whose first step can be taken. */
interface Begun extends Pick<LoopRunOptions, "built" | "deviceReason" | "start"> {
  readonly run: string;
  readonly config: RunConfig;
  readonly data: RunData;
  /** Of the process that writes. */
  readonly lock?: RunLock;
}

/** Makes the run folder and its data, and locks it. */
async function begin(input: TrainSettingsInput, options: TrainOptions, neighbours: Neighbours): Promise<Begun> {
  const { onEvent = () => {}, communicator = alone } = options;
  const onWarning = (message: string) => onEvent({ type: "warning", message });
  // A wrong configuration is refused before anything is written or tokenized.
  const { settings, trained } = await settingsOf(input, options);
  const machine = thisMachine(neighbours.sharing);
  let config = resolveConfig(settings, machine, options.overrides, trained && sourceOf(trained));
  const run = settings.out ?? defaultRunFolder(corporaIn(config).map(({ path }) => path));
  if (trained && resolve(run) === resolve(trained.path))
    throw new LonghandError("usage", `\`out\` ${run}: \`from\` names the same folder; choose another`);
  const asks = settings.device === "auto" && options.overrides?.["engine.device"] === undefined;
  const chosen = asks && communicator.size === 1 ? await chooseDevice(config.engine.threads) : undefined;
  if (chosen !== undefined) config = { ...config, engine: { ...config.engine, device: chosen.device } };
  await requireDevice(config.engine.device);
  const processes = { all: communicator.size, here: neighbours.here };
  const draft = {
    built: requireMemory(config, { processes, divided: options.shard !== undefined }),
    vocabSize: config.model.vocabSize,
  };
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
      onWarning,
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
  if (trained) warnOfUnfamiliar(trained, corporaOf(config, data), data, onWarning);
  const built = draft.vocabSize === config.model.vocabSize ? draft.built : undefined;
  return { run, config, data, lock, built, deviceReason: chosen?.reason, start: trained?.parameters };
}

/** Opens what another process has made. */
async function openBegun(
  { run, config }: Pick<Begun, "run" | "config">,
  { communicator = alone, shard }: TrainOptions,
  { here }: Neighbours,
): Promise<Begun> {
  const built = requireMemory(config, { processes: { all: communicator.size, here }, divided: shard !== undefined });
  const start = await startOf(run, config, { started: false, onWarning: () => {} });
  const tokenizer = await loadRunTokenizer(run, config);
  const data = await openRunTokens(join(run, "data"), config, tokenizer);
  return { run, config, data, built, start };
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
