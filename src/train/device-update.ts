/**
 * The optimiser on the engine's device: parameters, moments and the count of updates are uploaded once and stay there; the
 * outcome of each step is kept in a small log, so that the host reads some bytes every few steps and the rest when it saves.
 */
import type { HostTensor } from "../base/dtype.ts";
import { LonghandError } from "../base/errors.ts";
import type { DeviceTensor, DeviceTensorsByName, Engine } from "../runtime/engine.ts";
import { type FlatGroup, flatShape, flattenArrays, unflattenArrays } from "./flat.ts";
import type { FloatArrays, OptimizerState } from "./optimizer.ts";
import type { StepOutcome } from "./training-step.ts";
import {
  accumulateProgram,
  addedName,
  averageName,
  LOG_STEPS,
  momentNames,
  nextName,
  type UpdateOptions,
  updateFactors,
  updateProgram,
} from "./update-program.ts";

export interface HostState {
  readonly parameters: Readonly<Record<string, HostTensor>>;
  readonly optimizer: OptimizerState;
}

export interface DeviceUpdate {
  /** The parameters as of now, by path. Those that are trained are released by the next update. */
  readonly parameters: DeviceTensorsByName;
  /** Their average; themselves where none is kept. */
  readonly averaged: DeviceTensorsByName;
  /** Steps whose outcome has not been read; `read` is due when there are LOG_STEPS. */
  readonly unread: number;
  /** Adds the gradients of a batch, `gradients/i` of each group, and its loss [1] to those of this step; releases them. */
  add(batch: DeviceTensorsByName): Promise<void>;
  /** Updates with what was added since the last update. */
  apply(learningRate: number): Promise<void>;
  /** The outcomes that have not been read, in order. */
  read(): Promise<StepOutcome[]>;
  /** Copies parameters and moments into the arrays of `state`. */
  download(state: HostState): Promise<void>;
  release(): Promise<void>;
}

/** `updates`: how many were applied before. On the CPU the device's parameters are the arrays of `state` until the first update. */
export async function createDeviceUpdate(
  engine: Engine,
  options: UpdateOptions,
  { parameters, optimizer, updates }: HostState & { readonly updates: number },
): Promise<DeviceUpdate> {
  const { groups, config } = options;
  const update = updateProgram(options);
  const updated = await engine.compileResident(update, [...update.outputs.keys()]);
  const accumulate = accumulateProgram(groups);
  const accumulated =
    options.accumulate > 1 ? await engine.compileResident(accumulate, [...accumulate.outputs.keys()]) : undefined;

  const trained = groups.flatMap(({ parts }) => parts.map(({ path }) => path));
  const initial: Record<string, HostTensor> = {
    ...Object.fromEntries(trained.map((path) => [path, parameters[path]])),
    ...Object.fromEntries(
      Object.entries(optimizer.average ?? {}).map(([path, data]) => [averageName(path), { ...parameters[path], data }]),
    ),
    count: { dtype: "int32", shape: [1], data: Int32Array.of(updates) },
    log: { dtype: "float32", shape: [LOG_STEPS, 3], data: new Float32Array(3 * LOG_STEPS) },
  };
  for (const [i, group] of groups.entries()) {
    for (const [name, arrays] of momentsOf(i, group, optimizer))
      initial[name] = { dtype: "float32", shape: flatShape(group), data: flattenArrays(group, arrays) };
  }
  const upload = async (tensors: Readonly<Record<string, HostTensor>>) => {
    const uploaded: [string, DeviceTensor][] = [];
    for (const name in tensors) uploaded.push([name, await engine.upload(tensors[name])]);
    return Object.fromEntries(uploaded);
  };
  let values: DeviceTensorsByName = await upload(initial);
  /** The parameters that stay as they are. */
  const fixed = await upload(
    Object.fromEntries(Object.entries(parameters).filter(([path]) => !trained.includes(path))),
  );
  let sums: DeviceTensorsByName = {};
  /** Updates that were applied, as far as outcomes were read. */
  let known = updates;
  let unread = 0;
  const byPath = (name: (path: string) => string): DeviceTensorsByName => ({
    ...fixed,
    ...Object.fromEntries(trained.map((path) => [path, values[name(path)]])),
  });

  return {
    get parameters() {
      return byPath((path) => path);
    },
    get averaged() {
      return byPath(optimizer.average ? averageName : (path) => path);
    },
    get unread() {
      return unread;
    },
    async add(batch) {
      if (accumulated === undefined || sums.loss === undefined) {
        sums = batch;
        return;
      }
      const added = Object.fromEntries(Object.entries(batch).map(([name, tensor]) => [addedName(name), tensor]));
      const { device } = await accumulated.run({ ...sums, ...added });
      releaseAll({ ...sums, ...added });
      sums = nextValues(device);
    },
    async apply(learningRate) {
      if (unread === LOG_STEPS)
        throw new LonghandError("engine", `update: expected outcomes to be read every ${LOG_STEPS} steps`);
      const factors = updateFactors(known, learningRate, config);
      const { device } = await updated.run({ ...values, ...sums, factors, known: Int32Array.of(known) });
      releaseAll({ ...values, ...sums });
      values = nextValues(device);
      sums = {};
      unread += 1;
    },
    async read() {
      if (unread === 0) return [];
      const log = await values.log.read();
      const outcomes: StepOutcome[] = [];
      for (let row = LOG_STEPS - unread; row < LOG_STEPS; row++) {
        const [loss, gradientNorm, applied] = log.subarray(3 * row, 3 * row + 3);
        outcomes.push({ loss, gradientNorm, applied: applied === 1 });
      }
      known += outcomes.filter(({ applied }) => applied).length;
      unread = 0;
      return outcomes;
    },
    async download(state) {
      for (const path of trained) state.parameters[path].data.set(await values[path].read());
      for (const [path, mean] of Object.entries(state.optimizer.average ?? {}))
        mean.set(await floats(values[averageName(path)]));
      for (const [i, group] of groups.entries()) {
        for (const [name, arrays] of momentsOf(i, group, state.optimizer))
          unflattenArrays(group, await floats(values[name]), arrays);
      }
    },
    async release() {
      releaseAll({ ...values, ...sums, ...fixed });
      await updated.release();
      await accumulated?.release();
    },
  };
}

const floats = async (tensor: DeviceTensor) => (await tensor.read()) as Float32Array;

/** The moments that a group has, by the names of the program's inputs. */
function momentsOf(index: number, { parts: [{ path }] }: FlatGroup, { m, v }: OptimizerState): [string, FloatArrays][] {
  const names = momentNames(index);
  return [[names.m, m], ...(path in v ? [[names.v, v] satisfies [string, FloatArrays]] : [])];
}

/** A program's outputs under the names of the inputs that they are to be next. */
function nextValues(outputs: DeviceTensorsByName): DeviceTensorsByName {
  return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name.slice(nextName("").length), tensor]));
}

function releaseAll(tensors: DeviceTensorsByName): void {
  for (const name in tensors) tensors[name].release();
}
