import { setTimeout as pause } from "node:timers/promises";
import { LonghandError } from "../../base/errors.ts";
import { sizeOf } from "../../base/shape.ts";
import { listCheckpoints, saveCheckpoint } from "../../checkpoint/checkpoints.node.ts";
import { acquireRunLock, type RunLock } from "../../checkpoint/run-lock.node.ts";
import type { RunConfig } from "../../config/run-config.ts";
import { documentStartOf, maskingOf } from "../../config/trained-config.ts";
import { firstPlace } from "../../data/mixture.ts";
import { sliceTokens, type TokenSequence } from "../../data/token-sequence.ts";
import { modelOf } from "../../models/language-model.ts";
import { tuningOf } from "../../models/tuning.ts";
import { ortNodeEngine } from "../../runtime/ort-node.ts";
import { createEvaluator, type Evaluator, evaluationShape, type TextLoss } from "../../train/evaluate.ts";
import { type EvalRecord, type LoopState, type TrainEvent, trainLoop } from "../../train/loop.ts";
import { coolsFrom } from "../../train/schedule.ts";
import { createTrainStep } from "../../train/step.ts";
import type { ModelParameters } from "../../train/training-step.ts";
import { createWholeEvaluator } from "../../train/whole.ts";
import { type CorpusOfRun, corporaOf, sharesOf, tokensOf } from "../data/corpora.ts";
import type { PrepareProgress } from "../data/run-data.ts";
import type { RunData } from "../data/run-tokens.ts";
import { hostLoops } from "../machine/host-loops.ts";
import { type BuiltPrograms, explainMemory } from "../machine/memory.ts";
import { openMetrics } from "../records/metrics.ts";
import { writeAdapter } from "../use/adapter.ts";
import { learntByHeart } from "./by-heart.ts";
import { findRate, type RateEvent } from "./find-rate.ts";
import { type SampleRecord, writeSample } from "./sample.ts";
import type { Start } from "./start.ts";
import { carryOf, initialState, lanesOf, storedState } from "./state.ts";
import { withTextDecay } from "./text-decay.ts";

export type RunEvent =
  | ({ readonly type: "prepare" } & PrepareProgress)
  | {
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
  | Exclude<TrainEvent, { type: "save" | "end" }>
  | { readonly type: "checkpoint"; readonly step: number; readonly path: string }
  | SampleRecord
  | RateEvent
  | { readonly type: "warning"; readonly message: string };

export interface TrainOptions {
  readonly onEvent?: (event: RunEvent) => void;
  /** Ends training after the current step, with a checkpoint. Before the first step, throws its reason and keeps nothing. */
  readonly signal?: AbortSignal;
  /** Fields of the full configuration to set, by dotted name ("model.expansion"). */
  readonly overrides?: Readonly<Record<string, unknown>>;
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

const LOCK_PATIENCE_MS = 2000;

/** Locks a run. Waits a moment for a holder that is about to exit, such as one whose parent was just killed. */
export async function lockRun(run: string): Promise<RunLock> {
  const deadline = performance.now() + LOCK_PATIENCE_MS;
  for (;;) {
    try {
      return await acquireRunLock(run);
    } catch (error) {
      const held = error instanceof LonghandError && error.code === "usage";
      if (!held || performance.now() > deadline) throw error;
      await pause(50);
    }
  }
}

export interface LoopRunOptions extends TrainOptions {
  /** The programs, if they have been built already. */
  readonly built: BuiltPrograms | undefined;
  readonly deviceReason?: string | undefined;
  /** Parameters that the run begins from, where it has not begun. */
  readonly start?: Start | undefined;
}

/** The state of a run before its first step. */
export function beginning(config: RunConfig, corpora: ReturnType<typeof corporaOf>, start?: Start): LoopState {
  return { ...initialState(config, start), data: firstPlace(corpora, lanesOf(config)) };
}

/** The loop over a run that is locked and whose data are open, which it closes. */
export async function runLoop(
  run: string,
  asked: RunConfig,
  data: RunData,
  state: LoopState,
  { onEvent = () => {}, signal, built, deviceReason, start }: LoopRunOptions,
): Promise<TrainResult> {
  const config = await withTextDecay(run, asked, tokensOf(data.train));
  const { training } = config;
  const engine = ortNodeEngine({ device: config.engine.device, threads: config.engine.threads });
  const loops = hostLoops(config.engine);
  const metrics = await openMetrics(run, { resumeStep: state.step });
  const corpora = corporaOf(config, data);
  try {
    const masking = maskingOf(config, data.tokenizer);
    const endOfText = documentStartOf(config, data.tokenizer);
    const { context, batch, recompute } = training;
    const carried = carryOf(config);
    const options = { masked: masking !== undefined, endOfText, carried, built: built?.training, loops };
    const tuning = tuningOf(training);
    const step = await createTrainStep(
      engine,
      modelOf(config.model, { recompute, tuning }),
      { batch, context },
      options,
    );
    const model = modelOf(config.model, { tuning });
    const borders = { endOfText: data.tokenizer.special.endOfText, separate: endOfText !== undefined };
    const how = { built: built?.evaluation };
    const evaluator: Evaluator<TextLoss> = carried
      ? createWholeEvaluator(engine, model, { carried, endOfText: borders.endOfText, ...how })
      : await createEvaluator(engine, model, evaluationShape(context), { masking, endOfText, ...how });
    const onWarning = (message: string) => onEvent({ type: "warning", message });
    // Diverged parameters are not saved: the last good checkpoint stays the newest.
    const [first] = data.heldOut;
    const probe = sliceTokens(first, 0, Math.min(first.tokens, context + 1));
    let evaluated = state.step; // initial or loaded parameters need no check
    let unsaved: string | undefined;
    const save = async () => {
      unsaved =
        evaluated === state.step ? undefined : await problemOf(evaluator, step.current(state.parameters), probe);
      if (unsaved !== undefined) return onWarning(`step ${state.step} is not saved: ${unsaved}`);
      const always = coolsFrom(training.schedule, training.steps);
      const content = storedState(state);
      const path = await saveCheckpoint(run, { ...content, keep: training.keep, always, onWarning });
      const { adapter } = training;
      if (adapter && config.from) {
        await writeAdapter(run, { config: adapter, base: config.from.weights, tensors: content.model });
      }
      metrics.record({ type: "checkpoint", step: state.step, path });
      onEvent({ type: "checkpoint", step: state.step, path });
    };
    const sample = async (prompt: string) => {
      try {
        const inputs = { engine, config, tokenizer: data.tokenizer, parameters: step.current(state.parameters) };
        const record = { type: "sample", step: state.step, prompt, text: await writeSample(prompt, inputs) } as const;
        metrics.record(record);
        onEvent(record);
      } catch (error) {
        if (!(error instanceof LonghandError)) throw error;
        onWarning(`step ${state.step}: no sample: ${error.message}`);
      }
    };
    onEvent({
      type: "start",
      run,
      config,
      ...countsOf(state),
      trainTokens: tokensOf(data.train),
      heldOutTokens: tokensOf(data.heldOut),
      ...(corpora.length === 1 ? {} : { corpora: sharesOf(corpora) }),
      ...(deviceReason === undefined ? {} : { deviceReason }),
      step: state.step,
    });
    if ((await listCheckpoints(run)).length === 0) await save();
    const heldOut = data.heldOut.map((sequence, i) => ({ name: corpora[i].name, sequence }));
    const stopRequested = () => signal?.aborted === true;
    let finished = state.step >= training.steps;
    const evaluations: EvalRecord[] = [];
    const carry = carried && { carried, ...borders, lanes: lanesOf(config) };
    let loop = { state, step, evaluator, corpora, heldOut, options: training, masking, carry, stopRequested };
    if (training.schedule.search && state.step === 0) {
      const found = await findRate(run, config, { loop, begin: () => beginning(config, corpora, start), onEvent });
      if (found === undefined) return { run, step: 0, finished: false, loss: undefined, perplexity: undefined };
      loop = { ...loop, options: (await withTextDecay(run, found, tokensOf(data.train))).training };
    }
    for await (const event of trainLoop(loop)) {
      if (event.type === "save") await save();
      else if (event.type === "end") finished = event.finished;
      else {
        if (event.type === "eval") {
          evaluations.push(event);
          evaluated = event.step;
        }
        metrics.record(event.type === "train" ? { ...event, memory: process.memoryUsage.rss() } : event);
        onEvent(event);
        if (event.type === "eval" && training.sample !== undefined) await sample(training.sample);
      }
    }
    if (unsaved !== undefined)
      throw new LonghandError("diverged", `training: stopped at step ${state.step}: ${unsaved}`);
    if (finished) {
      metrics.record({ type: "finished", step: state.step });
      const byHeart = learntByHeart(evaluations);
      if (byHeart !== undefined) onWarning(byHeart);
    }
    const loss = evaluations.at(-1)?.loss;
    return { run, step: state.step, finished, loss, perplexity: loss === undefined ? undefined : Math.exp(loss) };
  } catch (error) {
    throw explainMemory(error, config);
  } finally {
    metrics.close();
    data.close();
    await engine.close();
    await loops.close();
  }
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
