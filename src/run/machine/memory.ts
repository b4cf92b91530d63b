/**
 * Whether a training fits into memory, decided before anything is compiled: an estimate from the graph of the step, and where
 * it does not fit, which batch, context or recomputation would (docs/decisions/0014-memory-estimate.md).
 */
import { LonghandError, messageOf } from "../../base/errors.ts";
import type { RunConfig } from "../../config/run-config.ts";
import type { TrainedConfig } from "../../config/trained-config.ts";
import type { Recompute } from "../../graph/recompute.ts";
import { carriedState } from "../../models/carry.ts";
import type { ModelConfig } from "../../models/config.ts";
import { modelOf, parameterCount } from "../../models/language-model.ts";
import { tuningOf } from "../../models/tuning.ts";
import type { CarriedState } from "../../nn/past.ts";
import type { Tuning } from "../../nn/scope.ts";
import type { Device } from "../../runtime/engine.ts";
import { chooseBinding } from "../../runtime/ort-node.ts";
import { programMemory } from "../../runtime/program-memory.ts";
import { evaluationShape } from "../../train/evaluate.ts";
import {
  type BatchShape,
  evaluationProgram,
  type LossProgram,
  type Model,
  maskedEvaluationProgram,
  trainingProgram,
} from "../../train/objective.ts";
import { shareOf } from "../../train/share.ts";
import { wholeWindow } from "../../train/whole.ts";
import type { BuiltPrograms } from "../../training/run-training.ts";
import { availableMemory, MEMORY_LIMIT_VARIABLE } from "./available-memory.ts";

export type { BuiltPrograms };

/** Node, its modules and the runtime before anything is computed. */
const PROCESS_BYTES = 190e6;
/** What one node of the graph takes, here and in the runtime. */
const NODE_BYTES = 10e3;
/** Resident memory of the runtime over the values that are alive: gaps in its arena, its packed matrices. Measured. */
const ARENA_FACTOR = 1.12;

export interface TrainingMemoryInputs extends BatchShape {
  readonly model: ModelConfig;
  readonly recompute: Recompute;
  readonly accumulate: number;
  /** Whether documents in a window are kept apart. Default: false. */
  readonly documents?: boolean;
  /** Whether states are carried on from window to window, and how many steps after. Default: false; 1. */
  readonly carry?: boolean;
  readonly carryEvery?: number;
  /** Corpora, each of which has states of its own. Default: 1. */
  readonly corpora?: number;
  /** What of the model is trained. Default: everything. */
  readonly tuning?: Tuning;
  /** Whether an average of the parameters is kept. Default: false. */
  readonly averaged?: boolean;
  /** Whether processes take steps of their own. Default: false. */
  readonly local?: boolean;
  /** Whether processes divide the moments. Default: false. */
  readonly divided?: boolean;
  /** Processes that train together: the batch is a part of one's. Default: 1. */
  readonly processes?: number;
  /** Whether the process evaluates as well. Default: true. */
  readonly evaluated?: boolean;
}

/** The programs of a training, for its memory to be estimated and to be run. */

/** Bytes that a process takes at most when it trains this. */
export function trainingMemory(inputs: TrainingMemoryInputs): number {
  return memoryOf(build(inputs), inputs);
}

function build(inputs: TrainingMemoryInputs): BuiltPrograms {
  const { model, recompute, tuning = {}, documents = false, carry = false, evaluated = true, ...shape } = inputs;
  const carried = carry ? carriedState(model) : undefined;
  const options = { masked: !model.causal, documents, carried };
  const training = trainingProgram(modelOf(model, { recompute, tuning }), shape, options);
  if (!evaluated) return { training };
  const asTrained = modelOf(model, { tuning });
  const evaluation = carried
    ? builtWhole(model, asTrained)
    : builtEvaluation(model, { context: shape.context, documents }, asTrained);
  return { training, evaluation };
}

/** The program that reads whole documents. */
function builtWhole(config: ModelConfig, model: Model = modelOf(config)): LossProgram {
  const carried = carriedState(config) as CarriedState;
  return evaluationProgram(model, { batch: 1, context: wholeWindow(carried) }, { carried });
}

function memoryOf({ training: { program, states }, evaluation }: BuiltPrograms, inputs: TrainingMemoryInputs): number {
  const {
    accumulate,
    carryEvery = 1,
    corpora = 1,
    averaged = false,
    processes = 1,
    local = false,
    divided = false,
  } = inputs;
  const training = programMemory(program);
  const ofBatch = states.reduce((sum, name) => sum + 4 * (program.outputs.get(name)?.size ?? 0), 0);
  // Gradients, with the copy that one of the bindings returns, both moments (of Muon one, and its
  // updates), the sums of several batches or processes, the average of the parameters, and between meetings of processes
  // the parameters of the last one and their momentum.
  const copies =
    (chooseBinding("cpu").binding === "node" ? 2 : 1) +
    (divided ? 2 / processes : 2) +
    (accumulate * processes > 1 ? 1 : 0) +
    (averaged ? 1 : 0) +
    (local ? 2 : 0);
  const fixed = PROCESS_BYTES + NODE_BYTES * program.nodes.length;
  // States: every lane's, those that a step begins with, and their copies afterwards.
  const carried = (corpora * carryEvery * processes + 2) * accumulate * ofBatch + 2 * ofBatch;
  const held = training.inputBytes + copies * (training.outputBytes - ofBatch) + carried;
  return fixed + held + ARENA_FACTOR * training.peakBytes + (evaluation ? heldByEvaluation(evaluation) : 0);
}

function builtEvaluation(
  config: ModelConfig,
  { context, documents }: { readonly context: number; readonly documents: boolean },
  model: Model = modelOf(config),
): LossProgram {
  const programOf = config.causal ? evaluationProgram : maskedEvaluationProgram;
  return programOf(model, evaluationShape(context), { documents });
}

/** Bytes that evaluating in windows of this context takes beside parameters. Throws as the program of the model does. */
export function evaluationMemory(model: ModelConfig, context: number): number {
  return heldByEvaluation(builtEvaluation(model, { context, documents: false }));
}

/** What evaluating takes beside parameters: a function of its own, which keeps its memory. */
function heldByEvaluation({ program }: LossProgram): number {
  return ARENA_FACTOR * programMemory(program).peakBytes;
}

/** Bytes that the training of this configuration takes at most, in each process, and the programs that were looked at for it. */
export function memoryNeeded(
  config: RunConfig,
  processes = 1,
  divided = false,
): { readonly needed: number; readonly built: BuiltPrograms } {
  const inputs = { ...inputsOf(config, processes), divided };
  const built = build(inputs);
  return { needed: memoryOf(built, inputs), built };
}

export interface MemoryRequest {
  readonly resumed?: boolean;
  /** That train together: in all, and of those on this machine. Default: this one alone. */
  readonly processes?: { readonly all: number; readonly here: number };
  /** Whether they divide the optimiser's moments. Default: false. */
  readonly divided?: boolean;
}

/**
 * The programs of the training of this configuration, where their memory was looked at: on the CPU. Throws "usage" with
 * what would fit when it needs more memory than there is. A run that goes on can change how activations are kept, but
 * neither batch nor context.
 */
export function requireMemory(
  config: RunConfig,
  { resumed = false, processes = { all: 1, here: 1 }, divided = false }: MemoryRequest = {},
): BuiltPrograms | undefined {
  if (config.engine.device !== "cpu") return undefined;
  const available = availableMemory() / processes.here;
  const { needed, built } = memoryNeeded(config, processes.all, divided);
  if (needed <= available) return built;
  const inputs = { ...inputsOf(config, processes.all), divided };
  const choices = resumed ? recomputationThatFits(inputs, available) : whatFits(inputs, available);
  const otherwise = resumed ? "go on where there is more" : "choose a smaller `preset` or a shorter `context`";
  const advice = choices.length === 0 ? otherwise : `${listed(choices)} would fit`;
  const each = processes.here > 1 ? " for each process" : "";
  throw new LonghandError("usage", `training needs about ${shortage(needed, available)}${each}: ${advice} ${OVERRIDE}`);
}

/**
 * The program that evaluates at this context, on the CPU. Throws "usage" with the context that would fit when it needs more
 * memory than there is.
 */
export function requireEvaluationMemory(
  { model, training }: TrainedConfig,
  { context, device }: { readonly context: number; readonly device: Device },
): LossProgram | undefined {
  if (device !== "cpu") return undefined;
  const available = availableMemory();
  const parameters = 4 * parameterCount(model);
  const documents = training.documents === "separate";
  // The program itself holds tables of the context: one whose layers cannot hold four arrays of states is not built.
  const certain = (n: number) => PROCESS_BYTES + 2 * parameters + 4 * 4 * n * model.width;
  const build = (n: number) =>
    certain(n) <= available ? builtEvaluation(model, { context: n, documents }) : undefined;
  const bytesOf = (n: number, program?: LossProgram) =>
    program ? PROCESS_BYTES + 2 * parameters + heldByEvaluation(program) : certain(n);
  const built = build(context);
  const needed = bytesOf(context, built);
  if (needed <= available) return built;
  const shorter = halves(context).find((n) => bytesOf(n, build(n)) <= available);
  const advice = shorter === undefined ? "evaluate where there is more" : `\`context\` ${shorter} would fit`;
  throw new LonghandError(
    "usage",
    `\`context\` ${context}: evaluation needs about ${shortage(needed, available)}: ${advice} ${OVERRIDE}`,
  );
}

/** The program that reads whole documents, on the CPU. Throws "usage" when it needs more memory than there is. */
export function requireWholeMemory({ model }: TrainedConfig, device: Device): LossProgram | undefined {
  if (device !== "cpu") return undefined;
  const available = availableMemory();
  const built = builtWhole(model);
  const needed = PROCESS_BYTES + 2 * 4 * parameterCount(model) + heldByEvaluation(built);
  if (needed <= available) return built;
  const advice = "evaluate where there is more";
  throw new LonghandError("usage", `evaluation needs about ${shortage(needed, available)}: ${advice} ${OVERRIDE}`);
}

const OVERRIDE = `(${MEMORY_LIMIT_VARIABLE} overrides what is available)`;
const shortage = (needed: number, available: number) =>
  `${gigabytes(needed)} and ${gigabytes(available)} are available`;

function inputsOf({ data, model, training }: RunConfig, processes = 1): TrainingMemoryInputs {
  const { batch: whole, context, recompute, documents, carry, carryEvery } = training;
  const { rows: batch, parts: accumulate } = shareOf(training, { rank: 0, size: processes });
  const corpora = data.mix?.length ?? 1;
  return {
    model,
    ...{ batch, whole, context, recompute, accumulate, processes },
    carry,
    carryEvery,
    corpora,
    tuning: tuningOf(training),
    averaged: training.optimizer.ema > 0,
    local: training.syncEvery > 0,
    documents: documents === "separate",
  };
}

/** Changes of one kind that make it fit, else the first that does with all of them together. */
function whatFits(inputs: TrainingMemoryInputs, available: number): string[] {
  const fits = (changed: Partial<TrainingMemoryInputs>) => trainingMemory({ ...inputs, ...changed }) <= available;
  const choices: string[] = [];
  const batch = halves(inputs.batch).find((n) => fits({ batch: n }));
  const { whole = inputs.batch } = inputs;
  if (batch !== undefined) choices.push(`\`batch\` ${(batch * whole) / inputs.batch}`);
  const contexts = halves(inputs.context).filter((n) => n % spanOf(inputs) === 0);
  const context = contexts.find((n) => fits({ context: n }));
  if (context !== undefined) choices.push(`\`context\` ${context}`);
  choices.push(...recomputationThatFits(inputs, available));
  const { carry = false, carryEvery = 1 } = inputs;
  const sooner = carry ? halves(carryEvery).find((n) => fits({ carryEvery: n })) : undefined;
  if (sooner !== undefined) choices.push(`\`carryEvery\` ${sooner}`);
  if (choices.length > 0) return choices;
  const together = { batch: 1, recompute: "layers" } as const;
  const length = [inputs.context, ...contexts].find((n) => fits({ ...together, context: n }));
  return length === undefined ? [] : [`\`batch\` 1, \`recompute\` layers and \`context\` ${length} together`];
}

function recomputationThatFits(inputs: TrainingMemoryInputs, available: number): string[] {
  if (inputs.recompute === "layers") return [];
  const needed = trainingMemory({ ...inputs, recompute: "layers" });
  return needed <= available ? [`\`recompute\` layers (about ${gigabytes(needed)})`] : [];
}

/** A context is a multiple of it. */
function spanOf({ model, carry = false }: TrainingMemoryInputs): number {
  return (carry ? carriedState(model)?.span : undefined) ?? 1;
}

/** n / 2, n / 4, … 1 */
function halves(n: number): number[] {
  const found: number[] = [];
  for (let half = Math.floor(n / 2); half >= 1; half = Math.floor(half / 2)) found.push(half);
  return found;
}

function listed(choices: readonly string[]): string {
  const last = choices[choices.length - 1];
  return choices.length === 1 ? last : `${choices.slice(0, -1).join(", ")} or ${last}`;
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(bytes < 9.95e9 ? 1 : 0)} GB`;
}

const ALLOCATION_FAILED = /bad.?alloc|failed to allocate|allocation failed|out of memory/i;

/** An error of the runtime or of Node as what it means, when it means that memory ran out; any other as it is. */
export function explainMemory(error: unknown, config: RunConfig, processes = 1): unknown {
  if (!ALLOCATION_FAILED.test(messageOf(error))) return error;
  const needed = gigabytes(trainingMemory(inputsOf(config, processes)));
  return new LonghandError(
    "engine",
    `training ran out of memory: it needs about ${needed}; use a smaller \`batch\`, a shorter \`context\` or \`recompute\` layers`,
    { cause: error },
  );
}
