/**
 * Training over slow links (DiLoCo: Douillard et al. 2023, arXiv 2311.08105): each process takes several steps by itself, each
 * on its share of the examples, before they meet. Then what they have come to is averaged, and the parameters at the last
 * meeting move by an outer step: the difference as if it were a gradient, with Nesterov's momentum or without, which is the
 * mean. The moments are averaged too, which the paper does not: so all processes are alike after a meeting, and any of them
 * can write the checkpoint.
 */
import { alone, type Communicator, sumNumbers } from "./communicator.ts";
import type { FloatArrays, OptimizerState } from "./optimizer.ts";
import type { StepInputs, StepResult, TrainStep } from "./training-step.ts";

/** Of the outer step. */
export interface OuterConfig {
  /** Of the momentum and the difference; 1 without momentum takes the mean as it is. */
  readonly rate: number;
  readonly momentum: number;
}

export interface LocalSteps {
  /** Steps between meetings, at least 1. There is one before each evaluation and checkpoint as well. */
  readonly every: number;
  readonly outer: OuterConfig;
  /** Default: this process alone. */
  readonly communicator?: Communicator | undefined;
}

/** The state before the first step, with the momentum of outer steps. */
export function withOuter(state: OptimizerState): OptimizerState {
  const zeros = Object.entries(state.m).map(([path, { length }]) => [path, new Float32Array(length)] as const);
  return { ...state, outer: Object.fromEntries(zeros) };
}

/** Floats that are sent at a time. */
const SENT = 2 ** 24;

/** `step` is that of a process alone; the state has `outer`. Results are known when the processes have met. */
export function withLocalSteps(step: TrainStep, { every, outer: config, communicator = alone }: LocalSteps): TrainStep {
  /** Of the steps since the last meeting, at which the parameters were `start`. */
  let pending: StepResult[] = [];
  let start: FloatArrays = {};
  let held: StepInputs | undefined;

  async function meet(): Promise<readonly StepResult[]> {
    if (held === undefined || pending.length === 0) return [];
    const { parameters, state, update } = held;
    const { m, v, average = {}, outer = {} } = state;
    const changed = arraysOf(held);
    for (const [name, arrays] of Object.entries({ parameters: changed, m, v, average })) {
      await averageOver(
        communicator,
        arrays,
        `${name === "parameters" ? name : `moments (${name})`} of update ${update}`,
      );
    }
    for (const [path, from] of Object.entries(start))
      outerStep({ from, to: changed[path], momentum: outer[path] }, config);
    const results = await meanResults(communicator, pending);
    pending = [];
    start = copied(arraysOf({ parameters, state }));
    return results;
  }

  const own: TrainStep = {
    async run(inputs) {
      const results = [...(await own.submit(inputs)), ...(await own.settle())];
      return results[results.length - 1];
    },
    async submit(inputs) {
      if (held?.parameters !== inputs.parameters || held.state !== inputs.state) {
        pending = [];
        start = copied(arraysOf(inputs));
      }
      held = inputs;
      const applied = pending.filter((result) => result.applied).length; // not counted by the caller yet
      pending.push(await step.run({ ...inputs, update: inputs.update + applied }));
      return pending.length === every ? meet() : [];
    },
    settle: meet,
    current: (parameters) => step.current(parameters),
    toHost: () => step.toHost(),
    release: () => step.release(),
  };
  return own;
}

/** The parameters that are trained. */
function arraysOf({ parameters, state }: Pick<StepInputs, "parameters" | "state">): FloatArrays {
  const paths = Object.keys(state.m);
  return Object.fromEntries(paths.map((path) => [path, parameters[path].data as Float32Array]));
}

const copied = (arrays: FloatArrays): FloatArrays =>
  Object.fromEntries(Object.entries(arrays).map(([path, values]) => [path, values.slice()]));

interface OuterStep {
  /** Parameters at the last meeting. */
  readonly from: Float32Array;
  /** What the processes have come to in the mean; in its place, what they go on from. */
  readonly to: Float32Array;
  readonly momentum: Float32Array;
}

/** d = from - to; m = momentum m + d; p = from - rate (d + momentum m). */
function outerStep({ from, to, momentum }: OuterStep, config: OuterConfig): void {
  for (let i = 0; i < to.length; i++) {
    const difference = from[i] - to[i];
    const own = Math.fround(config.momentum * momentum[i] + difference);
    momentum[i] = own;
    to[i] = from[i] - config.rate * (difference + config.momentum * own);
  }
}

/** The mean over all processes, in place, sent several arrays at a time. */
async function averageOver(communicator: Communicator, arrays: FloatArrays, what: string): Promise<void> {
  if (communicator.size === 1) return;
  let some: Float32Array[] = [];
  const send = async () => {
    const flat = new Float32Array(some.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const values of some) {
      flat.set(values, at);
      at += values.length;
    }
    await communicator.sum(flat, { what: `the ${what}` });
    at = 0;
    for (const values of some) {
      for (let i = 0; i < values.length; i++) values[i] = flat[at + i] / communicator.size;
      at += values.length;
    }
    some = [];
  };
  let length = 0;
  for (const values of Object.values(arrays)) {
    if (some.length > 0 && length + values.length > SENT) {
      await send();
      length = 0;
    }
    some.push(values);
    length += values.length;
  }
  if (some.length > 0) await send();
}

/** Losses and norms are means; a step counts as taken where every process has taken it. */
async function meanResults(communicator: Communicator, own: readonly StepResult[]): Promise<readonly StepResult[]> {
  const { size } = communicator;
  const numbers = Float64Array.from(own.flatMap(({ loss, gradientNorm, applied }) => [loss, gradientNorm, +applied]));
  const sums = await sumNumbers(communicator, numbers, { what: "the losses since the last meeting" });
  return own.map((result, i) => {
    const [loss, gradientNorm, applied] = sums.subarray(3 * i, 3 * i + 3);
    return { ...result, loss: loss / size, gradientNorm: gradientNorm / size, applied: applied === size };
  });
}
