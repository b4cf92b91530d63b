/**
 * The training loop: batches by number, steps, evaluation and saving at intervals. It yields typed events and knows no
 * files and no terminal; its caller saves and prints. A step whose loss or gradient is not finite is skipped, which is an
 * event too; after a few in a row the loop stops with an error, and the last checkpoint stands.
 */
import type { HostTensor } from "../base/dtype.ts";
import { LonghandError } from "../base/errors.ts";
import type { TrainingBatch } from "../data/batches.ts";
import { laneBatch, skipLanes } from "../data/lanes.ts";
import { type MaskingVocabulary, maskedBatch } from "../data/masking.ts";
import { type DataCursor, mixtureBatch, skipExamples, type WeightedCorpus } from "../data/mixture.ts";
import { CarriedLanes, type CarryOptions, type LaneStates } from "./carried.ts";
import { alone, anyOf, type Communicator } from "./communicator.ts";
import { type Evaluator, evaluateParts, type HeldOutPart, type PartLoss, type TextLoss } from "./evaluate.ts";
import type { OptimizerState } from "./optimizer.ts";
import type { OptimizerConfig } from "./optimizer-config.ts";
import { coolsFrom, learningRate, type Schedule } from "./schedule.ts";
import { type Share, shareOf } from "./share.ts";
import type { Batch, StepResult, TrainStep } from "./training-step.ts";

/** Everything that changes during training; what a checkpoint holds. */
export interface TrainingState {
  readonly parameters: Readonly<Record<string, HostTensor>>;
  /** Those among them that stay as they are and are saved once, apart from checkpoints: the model under an adapter. */
  readonly base?: Readonly<Record<string, HostTensor>>;
  readonly optimizer: OptimizerState;
  /** Steps taken, skipped ones included: the place in the schedule. */
  step: number;
  /** Updates applied: the t of Adam's bias correction. */
  updates: number;
  /** Steps skipped without an update between them. */
  skippedInRow: number;
  /** Seconds of training so far, over all processes. */
  seconds: number;
}

/** The state of a training whose place in the data is counted by example and corpus. */
export interface LoopState extends TrainingState {
  data: DataCursor;
  /** What each lane of each corpus goes on from, where states are carried on. */
  readonly carried?: LaneStates | undefined;
}

export interface LoopOptions {
  readonly batch: number;
  readonly context: number;
  /** Batches whose mean gradient makes one step. */
  readonly accumulate: number;
  /** Step at which training ends. */
  readonly steps: number;
  readonly schedule: Schedule;
  readonly optimizer: OptimizerConfig;
  readonly seed: number;
  readonly evalEvery: number;
  readonly saveEvery: number;
  /** Skipped steps in a row after which training gives up. */
  readonly maxSkips: number;
}

export interface LoopInputs {
  readonly state: LoopState;
  readonly step: TrainStep;
  readonly evaluator: Evaluator<TextLoss>;
  /** What is learnt, at least one unless batches are made: drawn from by weight. */
  readonly corpora: readonly WeightedCorpus[];
  /** What is evaluated, at least one. */
  readonly heldOut: readonly HeldOutPart[];
  readonly options: LoopOptions;
  /** Masked language modelling over this vocabulary, with a weighted step; default: each token predicts the next. */
  readonly masking?: MaskingVocabulary | undefined;
  /** Windows in the order of the text, which go on from `state.carried`; default: in random order, each anew. */
  readonly carry?: CarryOptions | undefined;
  /** Batch number `index`, made instead of read from corpora (none then), with its weights, for a weighted step. */
  readonly made?: ((index: number) => Batch) | undefined;
  /** Asked between steps; true ends the loop after saving. */
  readonly stopRequested: () => boolean;
  /** Processes that train together, each a share of every step; all stop when one is asked to. Default: this one alone. */
  readonly communicator?: Communicator | undefined;
}

/** After an optimiser step. Losses are in nats a token; numbers that JSON lacks (NaN, infinities) are written as null. */
export interface TrainRecord {
  readonly type: "train";
  readonly step: number;
  /** Tokens trained on since the run began. */
  readonly tokens: number;
  readonly loss: number;
  readonly perplexity: number;
  /** Global, before clipping. */
  readonly gradientNorm: number;
  readonly learningRate: number;
  readonly tokensPerSecond: number;
  /** Since the run began, over all its processes. */
  readonly seconds: number;
}

/** Over `tokens` held-out tokens. */
export interface EvalRecord {
  readonly type: "eval";
  readonly step: number;
  readonly loss: number;
  readonly perplexity: number;
  readonly tokens: number;
  /** The same of each held-out text, when there are several. */
  readonly parts?: readonly PartLoss[];
}

/** A step that was not taken, and why. */
export interface SkipRecord {
  readonly type: "skip";
  readonly step: number;
  readonly reason: string;
}

export type TrainEvent =
  | TrainRecord
  | EvalRecord
  | SkipRecord
  /** The state is to be saved now, before the loop goes on. */
  | { readonly type: "save"; readonly step: number }
  /** The last event: all steps are done, or a stop was asked for. */
  | { readonly type: "end"; readonly step: number; readonly finished: boolean };

/**
 * Trains from `state.step` to `options.steps`, changing `state` in place. Throws "diverged" after too many skipped steps
 * in a row.
 */
export async function* trainLoop(inputs: LoopInputs): AsyncGenerator<TrainEvent> {
  const { state, step, evaluator, heldOut, options, stopRequested, communicator = alone } = inputs;
  const { steps } = options;
  const lanes = lanesOf(inputs);
  const share = shareOf(options, communicator);
  const agree = (stops: boolean) => anyOf(communicator, stops, { what: `the end of step ${submitted}` });
  let stopping = false;
  let submitted = state.step;
  let since = performance.now();
  /** Counts steps whose results are known and says how they went; on a device several take their time together. */
  function* record(results: readonly StepResult[]): Generator<TrainEvent> {
    if (results.length === 0) return;
    const seconds = (performance.now() - since) / 1000 / results.length;
    for (const result of results) {
      const event = recordOf(inputs, result, seconds);
      yield event;
      if (event.type === "skip" && state.skippedInRow >= options.maxSkips) throw tooManySkips(state, event);
    }
    since = performance.now();
  }
  while (submitted < steps && !stopping) {
    if (submitted === state.step) since = performance.now();
    submitted += 1;
    const { batches, cursor, take } = lanes ? nextLanes(inputs, share, lanes) : nextBatches(inputs, share);
    state.data = cursor;
    const { parameters, optimizer, updates } = state;
    const results = await step.submit({
      ...{ parameters, batches, state: optimizer, config: options.optimizer },
      ...{ learningRate: learningRate(options.schedule, submitted, steps), update: updates + 1 },
    });
    take?.(results);
    yield* record(results);
    // Processes that take steps of their own hear of each other when results are known.
    const met = communicator.size === 1 || results.length > 0;
    stopping = met && (await agree(stopRequested()));
    const last = submitted === steps;
    const evaluates = last || submitted % options.evalEvery === 0;
    const saves = last || submitted % options.saveEvery === 0 || submitted === coolsFrom(options.schedule, steps);
    if (stopping || evaluates || saves) yield* record(await step.settle());
    if (!stopping && evaluates) {
      const result = await evaluateParts(evaluator, step.current(parameters), heldOut, () => !stopRequested(), agree);
      stopping = await agree(stopRequested());
      if (!stopping) yield { type: "eval", step: submitted, ...result };
    }
    // A state that has just met a non-finite step is not the one to go back to.
    if (stopping || last || (saves && state.skippedInRow === 0)) {
      await step.toHost();
      yield { type: "save", step: submitted };
    }
  }
  yield { type: "end", step: state.step, finished: state.step >= steps };
}

/** Counts a step whose result is known, and says how it went. */
function recordOf(
  { state, options }: LoopInputs,
  { loss, gradientNorm, applied }: StepResult,
  seconds: number,
): TrainRecord | SkipRecord {
  const { batch, context, accumulate, schedule, steps } = options;
  const tokens = accumulate * batch * context;
  state.step += 1;
  state.seconds += seconds;
  const { step } = state;
  if (!applied) {
    state.skippedInRow += 1;
    const reason = Number.isFinite(loss) ? `the gradient norm is ${gradientNorm}` : `the loss is ${loss}`;
    return { type: "skip", step, reason };
  }
  state.updates += 1;
  state.skippedInRow = 0;
  return {
    type: "train",
    step,
    tokens: step * tokens,
    loss,
    perplexity: Math.exp(loss),
    gradientNorm,
    learningRate: learningRate(schedule, step, steps),
    tokensPerSecond: tokens / seconds,
    seconds: state.seconds,
  };
}

function tooManySkips({ skippedInRow }: LoopState, { step, reason }: SkipRecord): LonghandError {
  return new LonghandError(
    "diverged",
    `training: ${skippedInRow} steps in a row were not finite (step ${step}: ${reason}); start again with a lower \`lr\`; the last checkpoint stands`,
  );
}

interface NextBatches {
  readonly batches: Batch[];
  /** The place in the data after them. */
  readonly cursor: DataCursor;
  /** Takes the states that the step leaves. */
  readonly take?: (results: readonly StepResult[]) => void;
}

/** This process's share of the next step. */
function nextBatches(inputs: LoopInputs, { first, examples, rows }: Share): NextBatches {
  const { state, corpora, made, masking, options } = inputs;
  const { accumulate, batch, context, seed } = options;
  const skip = (cursor: DataCursor, count: number) =>
    made ? { ...cursor, examples: cursor.examples + count } : skipExamples({ corpora, seed, cursor }, count);
  // Masking looks at the whole of a batch.
  const unit = made || masking ? batch : rows;
  const from = Math.floor(first / unit) * unit;
  const end = Math.ceil((first + examples) / unit) * unit;
  const batches: Batch[] = [];
  let cursor = skip(state.data, from);
  for (let at = from; at < end; at += unit) {
    const index = Math.floor(cursor.examples / batch);
    let next: Batch;
    if (made) {
      next = made(index);
      cursor = skip(cursor, unit);
    } else {
      const drawn = mixtureBatch({ corpora, context, batch: unit, seed, cursor });
      next = batchOf(inputs, drawn.batch, index);
      cursor = drawn.cursor;
    }
    for (let row = 0; row < unit; row += rows) {
      if (at + row >= first && at + row < first + examples) batches.push(partOf(next, row / rows, unit / rows));
    }
  }
  return { batches, cursor: skip(cursor, accumulate * batch - end) };
}

/** Part number `index` of so many of a batch: its rows; weights are such that the mean over all parts is that of the batch. */
function partOf(whole: Batch, index: number, parts: number): Batch {
  if (parts === 1) return whole;
  const { tokens, targets, weights } = whole;
  const [from, to] = [index, index + 1].map((n) => (n * tokens.length) / parts);
  const own = { tokens: tokens.slice(from, to), targets: targets.slice(from, to) };
  return weights === undefined ? own : { ...own, weights: weights.slice(from, to).map((weight) => weight * parts) };
}

function lanesOf({ carry, state }: LoopInputs): CarriedLanes | undefined {
  if (carry === undefined) return undefined;
  if (state.carried === undefined) throw new LonghandError("usage", "training: expected the states of lanes, got none");
  return new CarriedLanes(carry, state.carried);
}

/** The same in the order of the text. */
function nextLanes(
  { state, corpora, options }: LoopInputs,
  { first, examples, rows, parts }: Share,
  lanes: CarriedLanes,
): NextBatches {
  const { accumulate, batch, context, seed } = options;
  const skip = (cursor: DataCursor, count: number) => skipLanes({ corpora, lanes: lanes.count, seed, cursor }, count);
  const made: ReturnType<typeof laneBatch>[] = [];
  let cursor = skip(state.data, first);
  for (let i = 0; i < parts; i++) {
    const next = laneBatch({ corpora, context, batch: rows, lanes: lanes.count, seed, cursor });
    made.push(next);
    cursor = next.cursor;
  }
  const windows = made.map(({ rows, batch: { tokens } }) => ({ rows, tokens }));
  const batches = made.map(({ batch }, i) => ({ ...batch, past: lanes.begin(windows[i]) }));
  const take: NextBatches["take"] = ([{ applied, after = [] }]) => {
    for (const [i, own] of windows.entries()) lanes.end(own, applied ? after[i] : undefined);
  };
  return { batches, cursor: skip(cursor, accumulate * batch - first - examples), take };
}

/** What the step is given of batch number `index`. */
function batchOf({ masking, options: { seed } }: LoopInputs, plain: TrainingBatch, index: number): Batch {
  return masking === undefined ? plain : maskedBatch({ vocabulary: masking, tokens: plain.tokens, seed, index });
}
