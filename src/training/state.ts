/**
 * Training state before the first step, and to and from the contents of a checkpoint: parameters, both moments, and the
 * states that lanes carry on as a file each, counters in state.json.
 */
import { z } from "zod";
import type { HostTensor } from "../base/dtype.ts";
import { LonghandError } from "../base/errors.ts";
import type { CheckpointContent, FullCheckpoint } from "../checkpoint/checkpoint-files.ts";
import { requireTensors } from "../checkpoint/require-tensors.ts";
import { corporaIn } from "../config/corpora.ts";
import type { RunConfig } from "../config/run-config.ts";
import { contentOf, type DataCursor } from "../data/mixture.ts";
import { carriedState } from "../models/carry.ts";
import { parametersOf } from "../models/language-model.ts";
import { tuningOf } from "../models/tuning.ts";
import type { CarriedState } from "../nn/past.ts";
import { initialise, type Parameter } from "../nn/scope.ts";
import { emptyLanes, type LaneStates } from "../train/carried.ts";
import { withOuter } from "../train/local-steps.ts";
import type { LoopState, TrainingState } from "../train/loop.ts";
import { trainedOf } from "../train/objective.ts";
import { type FloatArrays, initialOptimizerState, type OptimizerState } from "../train/optimizer.ts";
import { rulesOf } from "../train/optimizer-config.ts";

const whole = () => z.number().int().min(0);

const countersSchema = z.object({
  updates: z.number().int().min(0),
  skippedInRow: z.number().int().min(0),
  seconds: z.number().min(0),
  data: z
    .object({
      examples: whole(),
      drawn: z.array(whole()),
      tokens: z.array(whole()),
      lanes: z.array(z.array(whole())).optional(),
      digests: z.array(z.string()).optional(),
    })
    .optional(),
  positions: z.array(whole()).optional(),
});

export type Tensors = Readonly<Record<string, HostTensor>>;

export const examplesPerStepOf = ({ training }: RunConfig) => training.accumulate * training.batch;

/** Lanes of each corpus: as many as examples from one of a lane to its next; 0 where no states are carried on. */
export function lanesOf(config: RunConfig): number {
  const { carry, carryEvery } = config.training;
  return carry ? carryEvery * examplesPerStepOf(config) : 0;
}

/** What windows go on from; undefined where each begins anew. */
export function carryOf({ model, training }: RunConfig): CarriedState | undefined {
  return training.carry ? carriedState(model) : undefined;
}

/** A run before its first step, but for its place in the data. `start`: parameters of the model that it begins from. */
export function initialState(config: RunConfig, start: Tensors = {}): TrainingState & Pick<LoopState, "carried"> {
  const { model, training } = config;
  const state = carryOf(config);
  const carried = state && emptyLanes(state, corporaIn(config).length * lanesOf(config));
  const declared = parametersOf(model, tuningOf(training));
  const trained = trainedOf(declared);
  const made = initialise(
    declared.filter(({ path }) => !(path in start)),
    training.seed,
  );
  // What is trained is changed in place; a search for the rate begins from it several times.
  const own = ({ path, trained }: Parameter) => {
    const tensor = made[path] ?? start[path];
    return trained && training.schedule.search ? { ...tensor, data: tensor.data.slice() } : tensor;
  };
  const parameters = Object.fromEntries(declared.map((parameter) => [parameter.path, own(parameter)]));
  const changing = Object.fromEntries(trained.map(({ path }) => [path, parameters[path]]));
  const rules = rulesOf(trained, training.optimizer);
  const moments = initialOptimizerState(changing, rules, training.optimizer.ema);
  const optimizer = training.syncEvery > 0 ? withOuter(moments) : moments;
  return {
    ...{ parameters, optimizer, step: 0, updates: 0, skippedInRow: 0, seconds: 0 },
    ...(training.adapter && { base: start }),
    ...(carried && { carried }),
  };
}

export function storedState({
  step,
  parameters: all,
  base = {},
  optimizer,
  updates,
  skippedInRow,
  seconds,
  data,
  carried,
}: TrainingState & Partial<Pick<LoopState, "data" | "carried">>): CheckpointContent {
  const parameters = Object.fromEntries(Object.entries(all).filter(([path]) => !(path in base)));
  return {
    step,
    ...modelAndOptimizer(parameters, optimizer),
    ...(carried && { carried: tensorsOf(carried) }),
    state: {
      ...{ updates, skippedInRow, seconds },
      ...(data === undefined ? {} : { data }),
      ...(carried && { positions: carried.positions }),
    },
  };
}

/**
 * What is saved as the model is what is used: with an average, that, and the parameters that training goes on from are
 * saved with the moments.
 */
function modelAndOptimizer(
  parameters: Tensors,
  { m, v, average, outer = {} }: OptimizerState,
): Pick<CheckpointContent, "model" | "optimizer"> {
  const named = (prefix: string, arrays: FloatArrays) =>
    Object.entries(arrays).map(([path, data]) => [`${prefix}.${path}`, { ...parameters[path], data }] as const);
  const moments = [...named("m", m), ...named("v", v), ...named("outer", outer)];
  if (!average) return { model: parameters, optimizer: Object.fromEntries(moments) };
  const latest = Object.keys(average).map((path) => [`latest.${path}`, parameters[path]] as const);
  const model = Object.fromEntries(
    Object.entries(parameters).map(([path, own]) => [path, { ...own, data: average[path] ?? own.data }]),
  );
  return { model, optimizer: Object.fromEntries([...moments, ...latest]) };
}

/** The states of lanes as tensors [lanes, …]. */
function tensorsOf({ arrays, positions: { length: lanes } }: LaneStates): Tensors {
  const tensors = Object.entries(arrays).map(([key, data]): [string, HostTensor] => {
    return [key, { dtype: "float32", shape: [lanes, data.length / lanes], data }];
  });
  return Object.fromEntries(tensors);
}

export interface RestoredState extends TrainingState {
  readonly data?: DataCursor | undefined;
  readonly carried?: LaneStates | undefined;
}

export interface InitialState {
  readonly parameters: Tensors;
  readonly base?: Tensors | undefined;
  readonly optimizer: OptimizerState;
  readonly carried?: LaneStates | undefined;
}

/**
 * The state of a checkpoint, with its place in the data if it has one, and what lanes carry on, where `initial`, the
 * state before the first step, does. Throws `checkpoint` naming the first tensor that differs from those of `initial` in
 * name, shape or dtype.
 */
export function restoreState(
  { path, step, model, optimizer, carried, state }: FullCheckpoint,
  { parameters, base = {}, optimizer: moments, carried: lanes }: InitialState,
): RestoredState {
  const expected = Object.fromEntries(Object.entries(parameters).filter(([path]) => !(path in base)));
  const counters = countersSchema.safeParse(state);
  if (!counters.success)
    throw new LonghandError("checkpoint", `${path}/state.json: the training counters are missing or damaged`);
  requireTensors(model, expected, path);
  const saved = (prefix: string, names: readonly string[]): Record<string, HostTensor> => {
    const named = Object.fromEntries(names.map((name) => [`${prefix}.${name}`, expected[name]]));
    const own = Object.fromEntries(Object.entries(optimizer).filter(([name]) => name.startsWith(`${prefix}.`)));
    requireTensors(own, named, path);
    return Object.fromEntries(names.map((name) => [name, own[`${prefix}.${name}`]]));
  };
  const arraysOf = (tensors: Tensors): FloatArrays =>
    Object.fromEntries(Object.entries(tensors).map(([name, { data }]) => [name, data as Float32Array]));
  const [m, v] = (["m", "v"] as const).map((prefix) => arraysOf(saved(prefix, Object.keys(moments[prefix]))));
  const outer = arraysOf(saved("outer", Object.keys(moments.outer ?? {})));
  const { positions, ...counted } = counters.data;
  const averaged = Object.keys(moments.average ?? {});
  const latest = moments.average ? saved("latest", averaged) : {};
  const average = arraysOf(Object.fromEntries(averaged.map((path) => [path, model[path]])));
  const restored = {
    parameters: { ...base, ...model, ...latest },
    optimizer: { m, v, ...(moments.average && { average }), ...(moments.outer && { outer }) },
    ...{ step, ...counted },
    ...(Object.keys(base).length > 0 && { base }),
  };
  if (lanes === undefined) return restored;
  requireTensors(carried ?? {}, tensorsOf(lanes), path);
  if (positions?.length !== lanes.positions.length) {
    const got = positions?.length ?? "none";
    throw new LonghandError(
      "checkpoint",
      `${path}/state.json: expected the positions of ${lanes.positions.length} lanes, got ${got}`,
    );
  }
  const arrays = Object.keys(lanes.arrays).map((key) => [key, carried?.[key].data as Float32Array]);
  return { ...restored, carried: { arrays: Object.fromEntries(arrays), positions } };
}

export interface PlaceRequest {
  /** From the checkpoint; undefined in those of earlier versions. */
  readonly stored: DataCursor | undefined;
  readonly step: number;
  readonly examplesPerStep: number;
  /** Lanes of each corpus; default: 0, it is not read in lanes. */
  readonly lanes?: number;
  readonly corpora: readonly {
    readonly name: string;
    readonly sequence: { readonly tokens: number };
    readonly digest?: string;
  }[];
}

/**
 * The place in the data where training continues. If none is stored, it follows from the step, for a single corpus.
 * Throws `checkpoint` when the stored place does not fit this run and step, `data` when a corpus has changed.
 */
export function placeInData({ stored, step, examplesPerStep, lanes = 0, corpora }: PlaceRequest): DataCursor {
  const examples = step * examplesPerStep;
  const content = contentOf(corpora);
  const { tokens, digests } = content;
  if (stored === undefined && corpora.length === 1 && lanes === 0) return { examples, drawn: [examples], ...content };
  const refuse = (problem: string) =>
    new LonghandError(
      "checkpoint",
      `state.json of step ${step}: ${problem}; remove this checkpoint to go on from the one before`,
    );
  if (stored === undefined) throw refuse(`expected a place in the data for ${corpora.length} corpora, got none`);
  if (stored.drawn.length !== corpora.length || stored.tokens.length !== corpora.length) {
    throw refuse(
      `its place in the data has ${stored.drawn.length} for the number of corpora, and the run has ${corpora.length}`,
    );
  }
  const sum = stored.drawn.reduce((all, drawn) => all + drawn, 0);
  if (stored.examples !== examples || sum !== examples) {
    const got = stored.examples === sum ? `${sum}` : `${stored.examples}, of which ${sum} are of the corpora`;
    throw refuse(`expected a place in the data after ${examples} examples, got ${got}`);
  }
  const drawn = stored.lanes?.map((windows) => windows.reduce((all, read) => all + read, 0));
  const fits = stored.lanes?.every((windows) => windows.length === lanes);
  if (lanes > 0 && !(fits && drawn?.join() === stored.drawn.join())) {
    throw refuse(`expected a place in the data for ${lanes} lanes of each corpus`);
  }
  for (const [i, { name }] of corpora.entries()) {
    const changed = (how: string) =>
      new LonghandError("data", `data: ${name} ${how}; bring back what it was, or train anew`);
    if (stored.tokens[i] !== tokens[i]) {
      throw changed(`has ${tokens[i]} tokens to learn and had ${stored.tokens[i]} when the run was saved`);
    }
    if (stored.digests && digests && stored.digests[i] !== digests[i]) {
      throw changed("has other tokens than when the run was saved, though as many");
    }
  }
  return { ...stored, ...content };
}
