/**
 * Training in a page: the same configuration, first state, batches, steps and events as Node's `train` and `resume`
 * (training/run-training.ts), over a run folder in memory or in the private file system. Runs in a worker.
 */
import { LonghandError } from "../base/errors.ts";
import { sha256Hex } from "../base/sha256.ts";
import { digestOfTensors } from "../checkpoint/digest.ts";
import { refuseOfModel, type Source, withTrained } from "../config/from-model.ts";
import { type Machine, resolveConfig, withData } from "../config/resolve.ts";
import { parseTrainSettings, type TrainSettingsInput } from "../config/train-settings.ts";
import { textInMemory } from "../data/text-source.ts";
import type { Engine } from "../runtime/engine.ts";
import { withEnding } from "../training/ending.ts";
import { beginning, type LoopEvent, runTraining, type TrainResult } from "../training/run-training.ts";
import { examplesPerStepOf, initialState, lanesOf, placeInData, restoreState, storedState } from "../training/state.ts";
import type { TrainedModel } from "../use/trained-model.ts";
import type { RunFiles } from "./run-files.ts";
import { readShards, writeShards } from "./shards.ts";
import { webTokenizer } from "./tokenizer.ts";
import { trainTokenizerJson } from "./tokenizer-training.ts";
import { version } from "./version.ts";
import {
  DATA_FOLDER,
  keepRun,
  openRunTokens,
  readNewestCheckpoint,
  readRunConfig,
  readRunTokenizer,
  writeRunConfig,
  writeRunTokenizer,
} from "./web-run.ts";

/** Settings of longhand train that a page has; what names files and folders is not among them. */
export type WebTrainSettings = Omit<
  TrainSettingsInput,
  "data" | "mix" | "out" | "evalData" | "from" | "adapter" | "tokenizer" | "device" | "threads" | "overwrite"
>;

export interface TextToLearn {
  /** Such as book.txt: it becomes `data.path` of the configuration. */
  readonly name: string;
  /** A document each. */
  readonly texts: readonly string[];
}

export type WebTrainEvent =
  | {
      readonly type: "prepare";
      readonly stage: "tokenizer" | "tokens";
      /** 0 … 1 */
      readonly done: number;
    }
  | LoopEvent;

interface WebRun {
  readonly name: string;
  readonly files: RunFiles;
  readonly onEvent: (event: WebTrainEvent) => void;
  readonly signal?: AbortSignal | undefined;
}

export interface NewRun extends WebRun {
  readonly text: TextToLearn;
  readonly settings: WebTrainSettings;
  /** Of the engine that will train. */
  readonly engine: Pick<Engine, "device" | "threads">;
  /** Model to go on from: its architecture, tokenizer and parameters (longhand train --from). */
  readonly from?: Omit<TrainedModel, "engine"> | undefined;
}

/**
 * Makes a run ready to be trained: tokenizer, tokens, configuration; of a model that goes on, its first checkpoint.
 * `config.json` is written last: a run without it is not there. Throws "usage" for wrong settings, "data" for a text that
 * cannot be used, and the signal's reason.
 */
export async function beginRun({ text, settings: given, engine, from, ...run }: NewRun): Promise<void> {
  const { files, onEvent, signal } = run;
  const input = { ...given, data: text.name, device: engine.device, threads: engine.threads };
  if (from !== undefined) refuseOfModel(from.path, given, {});
  const settings = parseTrainSettings(
    from === undefined ? input : { ...withTrained(input, from.config), from: from.path },
  );
  if (settings.lr === "auto")
    throw new LonghandError("usage", "`lr` auto: a page does not search for it; give a number");
  const source = textInMemory(text.name, text.texts);
  const draft = resolveConfig(settings, machine(engine.threads), {}, from && sourceOf(from));
  const pause = pauseOf(signal);
  onEvent({ type: "prepare", stage: "tokenizer", done: 0 });
  const tokenizer =
    from?.tokenizer ??
    webTokenizer(
      await trainTokenizerJson(
        { source: [{ source, weight: 1 }], vocabSize: settings.vocab, seed: settings.seed },
        pause,
      ),
    );
  const folder = `${DATA_FOLDER}/train`;
  await writeShards({
    ...{ source, tokenizer, files, folder, origin: { data: text.name } },
    async onProgress(done) {
      onEvent({ type: "prepare", stage: "tokens", done });
      await pause();
    },
  });
  const { vocabSize, digest } = tokenizer;
  const { bytes, tokens } = await readShards(files, folder, digest);
  const config = withData(draft, { vocabSize, digest, bytesPerToken: [bytes / tokens], paths: [text.name] });
  const opened = await openRunTokens(files, config, tokenizer); // refuses a text that is too short
  await writeRunTokenizer(files, tokenizer);
  if (from !== undefined) {
    const keeper = await keepRun(files, 0);
    const first = beginning(config, opened.corpora, from.parameters);
    await keeper.saveCheckpoint(storedState(first), { keep: 1 });
  }
  await writeRunConfig(files, config);
}

export interface TrainingRun extends WebRun {
  readonly engine: Engine;
  /** A new last step, to train longer than was planned. */
  readonly steps?: number | undefined;
}

/**
 * Trains a run from where it is to its last step, or until the signal stops it after the current step, with a checkpoint.
 * Exactly as if it had never stopped, on the same device with as many threads. Throws as runTraining, "checkpoint" for a
 * run that cannot be gone on with.
 */
export async function trainRun({ name, files, engine, steps, onEvent, signal }: TrainingRun): Promise<TrainResult> {
  const saved = await readRunConfig(files);
  const { device, threads } = engine;
  const before = { ...saved, engine: { device, threads } };
  if (before.training.adapter !== undefined || before.training.schedule.search) {
    throw new LonghandError(
      "usage",
      `${name}: a page trains neither adapters nor runs that look for their learning rate`,
    );
  }
  const tokenizer = await readRunTokenizer(files, before);
  const onWarning = (message: string) => onEvent({ type: "warning", message });
  const checkpoint = await readNewestCheckpoint(files, onWarning);
  if (checkpoint === undefined && before.from !== undefined) {
    throw new LonghandError("checkpoint", `${name}: the model that it began from is not here; train anew`);
  }
  const restored = checkpoint && restoreState(checkpoint, initialState(before));
  const config = restored && steps ? withEnding(before, { run: name, step: restored.step }, { steps }) : before;
  const tokens = await openRunTokens(files, config, tokenizer);
  const { corpora } = tokens;
  const place = { examplesPerStep: examplesPerStepOf(config), lanes: lanesOf(config), corpora };
  const state = restored
    ? { ...restored, data: placeInData({ ...place, stored: restored.data, step: restored.step }) }
    : beginning(config, corpora);
  if (JSON.stringify(config) !== JSON.stringify(saved)) await writeRunConfig(files, config);
  const keeper = await keepRun(files, state.step);
  try {
    return await runTraining({ run: name, config, tokens, state, engine, keeper, onEvent, signal });
  } finally {
    await keeper.flush();
  }
}

function machine(threads: number): Machine {
  return { version, processors: threads, absolute: (data) => data, prepared: () => false };
}

function sourceOf({ path, config, step, bytesPerToken, parameters }: Omit<TrainedModel, "engine">): Source {
  const weights = digestOfTensors(parameters, sha256Hex);
  return { path, config, step, weights, tokenizer: `${path}/tokenizer.json`, bytesPerToken };
}

/** Lets messages through now and then, and ends when the signal says so. */
function pauseOf(signal: AbortSignal | undefined): () => Promise<void> {
  let last = performance.now();
  return async () => {
    if (performance.now() - last < 50) return;
    await new Promise((resolve) => setTimeout(resolve));
    last = performance.now();
    signal?.throwIfAborted();
  };
}
