/**
 * A training from its configuration to its last step: the loop with evaluations, checkpoints and samples, wherever the run
 * is kept and whatever computes it. Node (run/train/run-loop.ts) and a web page (web/train.ts) bring keeper and engine.
 */
import { LonghandError } from "../base/errors.ts";
import { sizeOf } from "../base/shape.ts";
import type { CheckpointContent } from "../checkpoint/checkpoint-files.ts";
import type { RunConfig } from "../config/run-config.ts";
import { documentStartOf, maskingOf } from "../config/trained-config.ts";
import { firstPlace } from "../data/mixture.ts";
import { sliceTokens, type TokenSequence } from "../data/token-sequence.ts";
import type { TextTokenizer } from "../data/tokenizer.ts";
import { modelOf } from "../models/language-model.ts";
import { tuningOf } from "../models/tuning.ts";
import type { Engine } from "../runtime/engine.ts";
import { gatherLanes } from "../train/carried.ts";
import { alone, type Communicator } from "../train/communicator.ts";
import { createEvaluator, type Evaluator, evaluationShape, type TextLoss } from "../train/evaluate.ts";
import type { HostLoops } from "../train/host-loops.ts";
import { withLocalSteps } from "../train/local-steps.ts";
import { type EvalRecord, type LoopInputs, type LoopState, type TrainEvent, trainLoop } from "../train/loop.ts";
import type { LossProgram, TrainingProgram } from "../train/objective.ts";
import type { OptimizerState } from "../train/optimizer.ts";
import { coolsFrom } from "../train/schedule.ts";
import type { Shard } from "../train/shard.ts";
import { shareOf } from "../train/share.ts";
import { createTrainStep } from "../train/step.ts";
import type { ModelParameters } from "../train/training-step.ts";
import { createWholeEvaluator } from "../train/whole.ts";
import { learntByHeart } from "./by-heart.ts";
import { type CorpusOfRun, type NamedCorpus, sharesOf, tokensOf } from "./corpora.ts";
import { type SampleRecord, writeSample } from "./sample.ts";
import { carryOf, examplesPerStepOf, initialState, lanesOf, storedState, type Tensors } from "./state.ts";
import { withTextDecay } from "./text-decay.ts";

export interface StartEvent {
  readonly type: "start";
  readonly run: string;
  readonly config: RunConfig;
  readonly parameters: number;
  /** How many of them are trained, where that is not all. */
  readonly trained?: number;
  readonly trainTokens: number;
  readonly heldOutTokens: number;
  /** Of a mixture. */
  readonly corpora?: readonly CorpusOfRun[];
  /** Why "auto" stands for the device in `config`. */
  readonly deviceReason?: string;
  /** Step that is already done: 0 for a new run. */
  readonly step: number;
}

export interface CheckpointEvent {
  readonly type: "checkpoint";
  readonly step: number;
  readonly path: string;
}

export type LoopEvent =
  | StartEvent
  | Exclude<TrainEvent, { type: "save" | "end" }>
  | CheckpointEvent
  | SampleRecord
  | { readonly type: "warning"; readonly message: string };

/** What is noted of a run. */
export type RunRecord =
  | Exclude<TrainEvent, { type: "save" | "end" }>
  | CheckpointEvent
  | SampleRecord
  | { readonly type: "finished"; readonly step: number };

export interface KeepOptions {
  /** How many checkpoints to keep, 1 or more: the newest up to this one. */
  readonly keep: number;
  /** The checkpoint of this step is kept in any case. */
  readonly always?: number | undefined;
}

/** Where a run is kept. */
export interface RunKeeper {
  saveConfig(config: RunConfig): Promise<void>;
  /** Whether there is any checkpoint. */
  hasCheckpoint(): Promise<boolean>;
  /** Keeps a checkpoint as a whole or not at all; returns where it lies. */
  saveCheckpoint(content: CheckpointContent, options: KeepOptions): Promise<string>;
  record(record: RunRecord): void;
}

/** Tokens of a run, opened. */
export interface OpenTokens {
  readonly tokenizer: TextTokenizer;
  readonly corpora: readonly NamedCorpus[];
  /** What is evaluated: of each corpus, or of one text beside them. */
  readonly heldOut: readonly TokenSequence[];
  /** Tokens to learn, borders not counted. */
  readonly trainTokens: number;
}

export interface BuiltPrograms {
  readonly training: TrainingProgram;
  readonly evaluation?: LossProgram | undefined;
}

export interface RunTraining {
  /** The run's name or folder. */
  readonly run: string;
  readonly config: RunConfig;
  readonly tokens: OpenTokens;
  readonly state: LoopState;
  readonly engine: Engine;
  readonly keeper: RunKeeper;
  /** What runs the optimiser's loops; default: the caller's thread. */
  readonly loops?: HostLoops | undefined;
  /** The programs, if they have been built already. */
  readonly built?: BuiltPrograms | undefined;
  readonly deviceReason?: string | undefined;
  /** Parameters that the run begins from, where it has not begun. */
  readonly start?: Tensors | undefined;
  readonly onEvent: (event: LoopEvent) => void;
  /** Ends training after the current step, with a checkpoint. */
  readonly signal?: AbortSignal | undefined;
  /** Finds the learning rate of a run that is to find its own; undefined when it was stopped before. */
  readonly search?: ((search: RateSearch) => Promise<RunConfig | undefined>) | undefined;
  /** Processes that train together, whose keepers keep one run. Default: this one alone. */
  readonly communicator?: Communicator | undefined;
  /** What of the optimiser's state is this process's: the rest of `state` is not used. Default: everything. */
  readonly shard?: Shard | undefined;
  /** Called after each step that was taken. */
  readonly afterStep?: (() => Promise<void>) | undefined;
}

export interface RateSearch {
  readonly config: RunConfig;
  readonly loop: LoopInputs;
  readonly begin: () => LoopState;
}

export interface TrainResult {
  readonly run: string;
  readonly step: number;
  /** False when training was stopped before its last step. */
  readonly finished: boolean;
  /** The last held-out evaluation, if there was one. */
  readonly loss: number | undefined;
  readonly perplexity: number | undefined;
}

/** The state of a run before its first step. */
export function beginning(config: RunConfig, corpora: readonly NamedCorpus[], start?: Tensors): LoopState {
  return { ...initialState(config, start), data: firstPlace(corpora, lanesOf(config)) };
}

/** Throws as trainLoop, and "diverged" when the last state could not be saved because its loss is not finite. */
export async function runTraining(run: RunTraining): Promise<TrainResult> {
  const { tokens, state, engine, keeper, loops, built, deviceReason, start, onEvent, signal, search } = run;
  const { communicator = alone, shard, afterStep } = run;
  const { corpora, tokenizer, trainTokens } = tokens;
  const settled = async (config: RunConfig) => {
    const changed = withTextDecay(config, trainTokens);
    if (changed !== undefined) await keeper.saveConfig(changed);
    return changed ?? config;
  };
  const config = await settled(run.config);
  const { training } = config;
  const masking = maskingOf(config, tokenizer);
  const endOfText = documentStartOf(config, tokenizer);
  const { context, batch, recompute } = training;
  const carried = carryOf(config);
  const every = training.syncEvery;
  const how = { masked: masking !== undefined, endOfText, carried, built: built?.training, loops };
  const options = every > 0 ? { ...how, onDevice: false } : { ...how, communicator, shard };
  const tuning = tuningOf(training);
  const shape = { batch: shareOf(training, communicator).rows, context, whole: batch };
  const made = await createTrainStep(engine, modelOf(config.model, { recompute, tuning }), shape, options);
  const step = every > 0 ? withLocalSteps(made, { every, outer: training.outer, communicator }) : made;
  const model = modelOf(config.model, { tuning });
  const borders = { endOfText: tokenizer.special.endOfText, separate: endOfText !== undefined };
  const evaluating = { built: built?.evaluation, communicator };
  const evaluator: Evaluator<TextLoss> = carried
    ? createWholeEvaluator(engine, model, { carried, endOfText: borders.endOfText, ...evaluating })
    : await createEvaluator(engine, model, evaluationShape(context), { masking, endOfText, ...evaluating });
  const onWarning = (message: string) => onEvent({ type: "warning", message });
  // Diverged parameters are not saved: the last good checkpoint stays the newest.
  const [first] = tokens.heldOut;
  const probe = sliceTokens(first, 0, Math.min(first.tokens, context + 1));
  let evaluated = state.step; // initial or loaded parameters need no check
  let unsaved: string | undefined;
  const save = async () => {
    unsaved = evaluated === state.step ? undefined : await problemOf(evaluator, step.current(state.parameters), probe);
    if (unsaved !== undefined) return onWarning(`step ${state.step} is not saved: ${unsaved}`);
    if (state.carried) await gatherLanes(communicator, state.carried, examplesPerStepOf(config));
    const always = coolsFrom(training.schedule, training.steps);
    const what = `the moments of step ${state.step}`;
    const keep = (optimizer: OptimizerState) =>
      keeper.saveCheckpoint(storedState({ ...state, optimizer }), { keep: training.keep, always });
    const path = shard ? await shard.withWhole(state.optimizer, what, keep) : await keep(state.optimizer);
    const event = { type: "checkpoint", step: state.step, path } as const;
    keeper.record(event);
    onEvent(event);
  };
  const sample = async (prompt: string) => {
    try {
      const inputs = { engine, config, tokenizer, parameters: step.current(state.parameters) };
      const record = { type: "sample", step: state.step, prompt, text: await writeSample(prompt, inputs) } as const;
      keeper.record(record);
      onEvent(record);
    } catch (error) {
      if (!(error instanceof LonghandError)) throw error;
      onWarning(`step ${state.step}: no sample: ${error.message}`);
    }
  };
  onEvent({
    type: "start",
    run: run.run,
    config,
    ...countsOf(state),
    trainTokens,
    heldOutTokens: tokensOf(tokens.heldOut),
    ...(corpora.length === 1 ? {} : { corpora: sharesOf(corpora) }),
    ...(deviceReason === undefined ? {} : { deviceReason }),
    step: state.step,
  });
  if (!(await keeper.hasCheckpoint())) await save();
  const heldOut = tokens.heldOut.map((sequence, i) => ({ name: corpora[i].name, sequence }));
  const stopRequested = () => signal?.aborted === true;
  let finished = state.step >= training.steps;
  const evaluations: EvalRecord[] = [];
  const carry = carried && { carried, ...borders, lanes: lanesOf(config) };
  let loop: LoopInputs = {
    ...{ state, step, evaluator, corpora, heldOut, options: training },
    ...{ masking, carry, stopRequested, communicator },
  };
  if (search !== undefined && training.schedule.search && state.step === 0) {
    const found = await search({ config, loop, begin: () => beginning(config, corpora, start) });
    if (found === undefined) return { run: run.run, step: 0, finished: false, loss: undefined, perplexity: undefined };
    loop = { ...loop, options: (await settled(found)).training };
  }
  for await (const event of trainLoop(loop)) {
    if (event.type === "save") await save();
    else if (event.type === "end") finished = event.finished;
    else {
      if (event.type === "eval") {
        evaluations.push(event);
        evaluated = event.step;
      }
      keeper.record(event);
      onEvent(event);
      if (event.type === "train") await afterStep?.();
      // One process writes it; the others wait for it at the next step.
      if (event.type === "eval" && training.sample !== undefined && communicator.rank === 0)
        await sample(training.sample);
    }
  }
  if (unsaved !== undefined) throw new LonghandError("diverged", `training: stopped at step ${state.step}: ${unsaved}`);
  if (finished) {
    keeper.record({ type: "finished", step: state.step });
    const byHeart = learntByHeart(evaluations);
    if (byHeart !== undefined) onWarning(byHeart);
  }
  const loss = evaluations.at(-1)?.loss;
  const perplexity = loss === undefined ? undefined : Math.exp(loss);
  return { run: run.run, step: state.step, finished, loss, perplexity };
}

function countsOf({ parameters, optimizer }: LoopState): { readonly parameters: number; readonly trained?: number } {
  const sizeOfAll = (paths: readonly string[]) => paths.reduce((sum, path) => sum + sizeOf(parameters[path].shape), 0);
  const [all, trained] = [Object.keys(parameters), Object.keys(optimizer.m)];
  return { parameters: sizeOfAll(all), ...(trained.length < all.length && { trained: sizeOfAll(trained) }) };
}

/** Why the loss on a sample is not finite; undefined when it is. */
async function problemOf(
  evaluator: Evaluator<TextLoss>,
  parameters: ModelParameters,
  sample: TokenSequence,
): Promise<string | undefined> {
  try {
    await evaluator.run(parameters, sample);
    return undefined;
  } catch (error) {
    if (error instanceof LonghandError && error.code === "diverged") return error.message;
    throw error;
  }
}
