/** A run gone on with: exactly where it stopped, or to another end, or in a copy. */
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { LonghandError } from "../../base/errors.ts";
import { listCheckpoints, loadLatestCheckpoint } from "../../checkpoint/checkpoints.node.ts";
import { readConfig, writeConfig } from "../../checkpoint/run-folder.node.ts";
import type { RunLock } from "../../checkpoint/run-lock.node.ts";
import { given } from "../../config/corpora.ts";
import { parseSettings, pick } from "../../config/fields.ts";
import { parseRunConfig, type RunConfig } from "../../config/run-config.ts";
import { type ResumeSettings, resumeSettingsSchema } from "../../config/train-settings.ts";
import { firstPlace } from "../../data/mixture.ts";
import { alone } from "../../train/communicator.ts";
import { cooledFrom, withEnding } from "../../training/ending.ts";
import { examplesPerStepOf, initialState, lanesOf, placeInData, restoreState } from "../../training/state.ts";
import { corporaOf } from "../data/corpora.ts";
import { loadRunTokenizer, openRunTokens } from "../data/run-tokens.ts";
import { requireDevice } from "../machine/device.ts";
import { type MemoryRequest, requireMemory } from "../machine/memory.ts";
import { neighboursOf } from "../machine/neighbours.ts";
import { digestOf, factsOfMachine, factsOfRun, requireAlike } from "./alike.ts";
import { copyRun } from "./copy-run.ts";
import { divisionOf, lockRun, runLoop, type TrainOptions, type TrainResult } from "./run-loop.ts";
import { startOf } from "./start.ts";
import { ANY_TIME_MS, fromFirst, together } from "./together.ts";

/**
 * With `steps`, a new last step, to train longer than was planned: the schedule then ends there. With `cooldown`, the last
 * steps of it, in which the rate goes to zero; without `steps`, from where the run is. With `out`, all this in a copy.
 */
export interface ResumeOptions extends TrainOptions, ResumeSettings {}

/** Goes on from the newest whole checkpoint of a run folder, exactly as if it had never stopped. */
export async function resume(original: string, options: ResumeOptions = {}): Promise<TrainResult> {
  const { communicator = alone } = options;
  const changes = given(pick(options, resumeSettingsSchema.shape));
  await requireAlike(communicator, () => ({ ...factsOfMachine(), options: digestOf([original, changes]) }));
  const { here } = await neighboursOf(communicator);
  const first = communicator.rank === 0;
  const finding = { what: "the choice of the run", limitMs: ANY_TIME_MS }; // copying it may take long
  const found = await together(communicator, finding, () => (first ? find(original, options) : undefined));
  try {
    const told = await fromFirst(communicator, found && { ...found, lock: undefined }, finding);
    const what = "the opening of the checkpoint";
    const processes = { all: communicator.size, here };
    const opened = await together(communicator, { what }, () => open(told, options, processes));
    const { run, config, data, state, division } = opened;
    await requireAlike(communicator, () => factsOfRun(data, state, division));
    return await runLoop(run, config, data, state, { ...options, ...opened });
  } finally {
    found?.lock?.release();
  }
}

/** A run to go on with, and how. */
interface Found {
  readonly run: string;
  /** As it was until now. */
  readonly before: RunConfig;
  readonly changes: ResumeSettings;
  /** Of the process that writes. */
  readonly lock?: RunLock | undefined;
}

async function find(original: string, { onEvent = () => {}, ...options }: ResumeOptions): Promise<Found> {
  const changes = given(parseSettings(resumeSettingsSchema, pick(options, resumeSettingsSchema.shape)));
  const run = await placeToGoOn(original, changes, (message) => onEvent({ type: "warning", message }));
  const before = await readConfig(run, parseRunConfig);
  await requireDevice(before.engine.device);
  return { run, before, changes, lock: await lockRun(run) };
}

/** Everything that the next step needs, from the checkpoint; the first process writes the configuration that has changed. */
async function open(
  { run, before, changes }: Found,
  { onEvent = () => {}, communicator = alone, ...options }: ResumeOptions,
  processes: NonNullable<MemoryRequest["processes"]>,
) {
  const first = communicator.rank === 0;
  const warn = (message: string) => (first ? onEvent({ type: "warning", message }) : undefined);
  // A run that was killed before its first checkpoint begins again, which is the same training.
  const started = (await listCheckpoints(run)).length > 0;
  const start = await startOf(run, before, { started, onWarning: warn });
  const initial = initialState(before, start);
  const state: ReturnType<typeof restoreState> = started
    ? restoreState(await loadLatestCheckpoint(run, { onWarning: warn }), initial)
    : initial;
  const config = withEnding(before, { run, step: state.step }, changes);
  const division = divisionOf(config, state, { communicator, shard: options.shard });
  const built = requireMemory(config, { resumed: true, processes, divided: division !== undefined });
  const tokenizer = await loadRunTokenizer(run, config);
  const data = await openRunTokens(join(run, "data"), config, tokenizer);
  const corpora = corporaOf(config, data);
  const lanes = lanesOf(config);
  const examplesPerStep = examplesPerStepOf(config);
  let place = firstPlace(corpora, lanes);
  try {
    if (started) place = placeInData({ stored: state.data, step: state.step, examplesPerStep, lanes, corpora });
    if (first && !isDeepStrictEqual(config, before)) await writeConfig(run, config);
  } catch (error) {
    data.close();
    throw error;
  }
  const optimizer = division?.alone(state.optimizer) ?? state.optimizer;
  return { run, config, data, state: { ...state, optimizer, data: place }, built, start, division };
}

/**
 * The run to go on with: the original, or with `out` a copy of it. Throws "usage" for a run that has cooled down and is to
 * be trained longer in its own folder, which would lose what it has become.
 */
async function placeToGoOn(
  run: string,
  { out, steps, cooldown }: ResumeSettings,
  onWarning: (message: string) => void,
): Promise<string> {
  if (out === undefined && steps === undefined && cooldown === undefined) return run;
  const config = await readConfig(run, parseRunConfig);
  const places = await listCheckpoints(run);
  const newest = places.at(-1)?.step ?? 0;
  const from = steps === undefined && cooldown === undefined ? undefined : cooledFrom(config, newest);
  if (out === undefined) {
    if (from === undefined) return run;
    throw new LonghandError(
      "usage",
      `${run} has cooled down since step ${from}; to go on from there, beside it, give \`out\` and a new folder`,
    );
  }
  const chosen = from === undefined ? (await loadLatestCheckpoint(run, { parts: "model", onWarning })).path : undefined;
  const checkpoint = chosen ?? places.find(({ step }) => step === from)?.path;
  if (checkpoint === undefined) {
    throw new LonghandError(
      "checkpoint",
      `${run}: expected a checkpoint of step ${from}, before its cool-down, got none`,
    );
  }
  await copyRun(run, checkpoint, out);
  return out;
}
