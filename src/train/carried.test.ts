/** Training that carries states on: what lanes keep and forget, the losses of a text read as a whole, resuming. */
import { afterAll, describe, expect, it } from "vitest";
import { expectClose } from "../../test/support/compare.ts";
import type { HostTensor } from "../base/dtype.ts";
import { laneWindow, windowsPerLane } from "../data/lanes.ts";
import { firstPlace, type WeightedCorpus } from "../data/mixture.ts";
import { tokensInMemory } from "../data/token-sequence.ts";
import { carriedState } from "../models/carry.ts";
import { parseModelConfig } from "../models/config.ts";
import { modelOf, parametersOf } from "../models/language-model.ts";
import type { CarriedState } from "../nn/past.ts";
import { initialise } from "../nn/scope.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { CarriedLanes, emptyLanes, type LaneStates } from "./carried.ts";
import { type LoopOptions, type LoopState, type TrainEvent, trainLoop } from "./loop.ts";
import { evaluationProgram } from "./objective.ts";
import { initialOptimizerState } from "./optimizer.ts";
import { createTrainStep } from "./step.ts";
import type { TrainStep } from "./training-step.ts";
import { createWholeEvaluator } from "./whole.ts";

const [batch, context, accumulate, endOfText] = [2, 16, 2, 0];
const lanes = batch * accumulate;
const config = parseModelConfig({
  ...{ architecture: "flash", vocabSize: 31, width: 16, layers: 2, shared: 8, chunk: 8, maxLength: context },
  tokenShift: true,
});
const carried = carriedState(config) as CarriedState;
const model = modelOf(config);
const engine = ortNodeEngine({ threads: 1 });
afterAll(() => engine.close());

/** Ordinary tokens, a document's start every `length` of them. */
const text = (tokens: number, length: number, seed = 1) =>
  tokensInMemory(
    Int32Array.from({ length: tokens }, (_, i) =>
      i % length === 0 ? endOfText : 1 + ((i * i + seed * (i >> 2)) % 30),
    ),
  );

const options: LoopOptions = {
  ...{ batch, context, accumulate, steps: 6, seed: 1, evalEvery: 100, saveEvery: 100, maxSkips: 3 },
  optimizer: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01, clip: 1 },
  schedule: { peak: 5e-3, warmup: 0, decay: "constant", floor: 0 },
};

/** `every`: steps from one example of a lane to its next. */
function beginning(corpora: readonly WeightedCorpus[], every = 1): LoopState {
  const parameters = initialise(parametersOf(config), 1);
  return {
    ...{ parameters, optimizer: initialOptimizerState(parameters), step: 0, updates: 0, skippedInRow: 0, seconds: 0 },
    data: firstPlace(corpora, every * lanes),
    carried: emptyLanes(carried, corpora.length * every * lanes),
  };
}

const arraysOf = (from: Readonly<Record<string, Float32Array>>) =>
  Object.fromEntries(Object.entries(from).map(([path, data]) => [path, data.slice()]));

/** A copy of all that a checkpoint holds. */
function copied({ parameters, optimizer: { m, v }, carried, ...rest }: LoopState): LoopState {
  const { arrays, positions } = carried as LaneStates;
  const tensors = Object.entries(parameters).map(([path, own]) => [path, { ...own, data: own.data.slice() }]);
  return {
    ...rest,
    parameters: Object.fromEntries(tensors) as Record<string, HostTensor>,
    optimizer: { m: arraysOf(m), v: arraysOf(v) },
    carried: { arrays: arraysOf(arrays), positions: [...positions] },
  };
}

interface Setting {
  readonly corpora: readonly WeightedCorpus[];
  readonly separate: boolean;
  readonly onDevice?: boolean;
  /** Changes the step. */
  readonly through?: (step: TrainStep) => TrainStep;
}

/** Trains until `steps`, and returns what happened. */
async function train(state: LoopState, steps: number, setting: Setting, changed: Partial<LoopOptions> = {}) {
  const { corpora, separate, onDevice = false, through = (step) => step } = setting;
  const how = { endOfText: separate ? endOfText : undefined, carried, onDevice };
  const made = await createTrainStep(engine, model, { batch, context }, how);
  const evaluator = createWholeEvaluator(engine, model, { carried, endOfText });
  const heldOut = [{ name: "held out", sequence: text(90, 40, 3) }];
  const events: TrainEvent[] = [];
  const carry = {
    carried,
    endOfText,
    separate,
    lanes: (state.carried as LaneStates).positions.length / corpora.length,
  };
  const inputs = {
    state,
    step: through(made),
    evaluator,
    corpora,
    heldOut,
    options: { ...options, ...changed },
    carry,
  };
  for await (const event of trainLoop({ ...inputs, stopRequested: () => state.step >= steps && steps < options.steps }))
    events.push(event);
  await made.release();
  await evaluator.release();
  const losses = events.flatMap((event) => (event.type === "train" ? [event.loss] : []));
  return { state: copied(state), losses, events };
}

describe("a lane", () => {
  const [key] = carried.entries.keys();
  const size = emptyLanes(carried, 1).arrays[key].length;
  const after = Object.fromEntries(
    Object.entries(emptyLanes(carried, 1).arrays).map(([name, all]) => [name, all.map((_, i) => i + 1)]),
  );
  const rows = [{ corpus: 0, lane: 1, begins: false }];
  const windowOf = (...starts: number[]) =>
    Int32Array.from({ length: 4 }, (_, i) => (starts.includes(i) ? endOfText : 5));
  /** The lane after windows of four tokens, each applied or not. */
  function afterWindows(separate: boolean, ...windows: (readonly [tokens: Int32Array, applied: boolean])[]) {
    const own = new CarriedLanes({ carried, endOfText, separate, lanes: 2 }, emptyLanes(carried, 2));
    let given: ArrayLike<number> = [];
    for (const [tokens, applied] of windows) {
      given = own.begin({ rows, tokens })[key] as Float32Array;
      own.end({ rows, tokens }, applied ? after : undefined);
    }
    const { arrays, positions } = own.states;
    expect([positions[0], Math.max(...arrays[key].subarray(0, size))]).toEqual([0, 0]); // the other lane
    return { position: positions[1], known: arrays[key][size] === 1, given: given[0] };
  }

  it.each([true, false])("goes on inside a document, documents kept apart: %s", (separate) => {
    const window = [windowOf(), true] as const;
    expect(afterWindows(separate, window, window)).toEqual({ position: 8, known: true, given: 1 });
  });

  it.each([true, false])("begins anew at a document's start, documents kept apart: %s", (separate) => {
    const second = afterWindows(separate, [windowOf(), true], [windowOf(0), true]);
    expect(second).toEqual({ position: 4, known: true, given: 0 });
  });

  it("hands on the state of the last document where they are kept apart, nothing where they are joined", () => {
    const windows = [
      [windowOf(), true],
      [windowOf(1, 3), true],
    ] as const;
    expect(afterWindows(true, ...windows)).toEqual({ position: 1, known: true, given: 1 });
    expect(afterWindows(false, ...windows)).toEqual({ position: 0, known: false, given: 1 });
  });

  it.each([true, false])("stays as it was after a step that was skipped, documents kept apart: %s", (separate) => {
    const [one, skipped] = [[windowOf(), true] as const, [windowOf(), false] as const];
    expect(afterWindows(separate, one, skipped)).toEqual({ position: 4, known: true, given: 1 });
    const inside = [windowOf(2), false] as const; // what it knows is of the document before
    expect(afterWindows(separate, one, inside)).toEqual({ position: 0, known: false, given: 1 });
  });
});

describe("training", { timeout: 60_000 }, () => {
  const single = [{ sequence: text(1 + 16 * 4 * 5 + 9, 10_000), weight: 1 }]; // one document, five windows a lane
  const mixture = [
    { sequence: text(700, 57), weight: 2 },
    { sequence: text(400, 90, 2), weight: 1 },
  ];

  it("has the loss of each window after all that its lane has read, for two epochs", async () => {
    const { losses } = await train(
      beginning(single),
      10,
      { corpora: single, separate: false },
      { ...still, steps: 10 },
    );
    const { sequence } = single[0];
    const perLane = windowsPerLane({ tokens: sequence.tokens, context, lanes });
    expect(perLane).toBe(5);
    const { program } = evaluationProgram(model, { batch: 1, context: perLane * context });
    const compiled = await engine.compile(program);
    const parameters = Object.entries(initialise(parametersOf(config), 1)).map(([path, { data }]) => [path, data]);
    const expected = new Float64Array(2 * perLane);
    for (let epoch = 0; epoch < 2; epoch++) {
      for (let lane = 0; lane < lanes; lane++) {
        const request = { tokens: sequence.tokens, context, lanes, seed: options.seed };
        const stretch = { tokens: new Int32Array(perLane * context), targets: new Int32Array(perLane * context) };
        for (let i = 0; i < stretch.tokens.length; i++) {
          const { start } = laneWindow(request, lane, epoch * perLane + Math.floor(i / context));
          const read = new Int32Array(2);
          sequence.read((start + (i % context)) % (sequence.tokens - 1), 2, read);
          [stretch.tokens[i], stretch.targets[i]] = read;
        }
        // The text begins inside one stretch of each epoch, where the lane begins anew: its losses from there on differ.
        const turn = stretch.tokens.indexOf(endOfText);
        const weights = new Float32Array(stretch.tokens.length);
        const result = await compiled.run({ ...Object.fromEntries(parameters), ...stretch, weights });
        const nats = result.losses.slice() as Float32Array;
        for (let window = 0; window < perLane; window++) {
          const own = nats.subarray(window * context, (window + 1) * context);
          const known = turn < 0 || turn >= (window + 1) * context;
          expected[epoch * perLane + window] += known ? own.reduce((a, b) => a + b) / context / lanes : Number.NaN;
        }
      }
    }
    const whole = [...expected.keys()].filter((i) => Number.isFinite(expected[i]));
    expect(whole.length).toBeGreaterThan(3);
    expectClose(
      whole.map((i) => losses[i]),
      whole.map((i) => expected[i]),
      { name: "losses", tolerance: 1e-5 },
    );
    await compiled.release();
  });

  it.each([false, true])("resumes bit for bit in a mixture, documents kept apart: %s", async (separate) => {
    const setting = { corpora: mixture, separate };
    const whole = await train(beginning(mixture, 2), 6, setting);
    const half = await train(beginning(mixture, 2), 3, setting);
    const resumed = await train(copied(half.state), 6, setting);
    expect(withoutSeconds(resumed.state)).toEqual(withoutSeconds(whole.state));
    expect([...half.losses, ...resumed.losses]).toEqual(whole.losses);
    const { arrays, positions } = resumed.state.carried as LaneStates;
    expect(Object.values(arrays).every((all) => all.some((value) => value !== 0))).toBe(true);
    expect(new Set(positions).size).toBeGreaterThan(2);
    expect(whole.events.filter(({ type }) => type === "eval")).toHaveLength(1);
  });

  it("is the same on a device", async () => {
    const host = await train(beginning(mixture), 6, { corpora: mixture, separate: false });
    const device = await train(beginning(mixture), 6, { corpora: mixture, separate: false, onDevice: true });
    expectClose(device.losses, host.losses, { name: "losses", tolerance: 1e-5 });
    const [one, two] = [host, device].map(({ state }) => state.carried as LaneStates);
    expect(two.positions).toEqual(one.positions);
    for (const [name, all] of Object.entries(one.arrays)) {
      if (!name.endsWith("compensation")) expectClose(two.arrays[name], all, { name, tolerance: 1e-3 });
    }
  });

  it("leaves states as they were after a step that was skipped", async () => {
    const before = await train(beginning(single), 2, { corpora: single, separate: false });
    const broken = (step: TrainStep): TrainStep => ({
      ...step,
      submit: async (inputs) => {
        const results = await step.submit(inputs);
        return results.map((result) => ({ ...result, applied: false, loss: Number.NaN }));
      },
    });
    const setting = { corpora: single, separate: false, through: broken };
    const skipped = await train(copied(before.state), 3, setting);
    expect(skipped.events.some(({ type }) => type === "skip")).toBe(true);
    expect(skipped.state.data.examples).toBe(3 * lanes);
    const begun = before.state.carried as LaneStates;
    expect(Math.max(...begun.positions)).toBe(2 * context);
    const turns = begun.positions.map((position, i) => position === skipped.state.carried?.positions[i]);
    expect(turns.filter((same) => same).length).toBeGreaterThanOrEqual(lanes - 1); // the text begins in at most one
    const [name] = carried.entries.keys();
    const size = begun.arrays[name].length / lanes;
    for (let lane = 0; lane < lanes; lane++) {
      if (!turns[lane]) continue;
      const of = (states: LaneStates) => states.arrays[name].slice(lane * size, (lane + 1) * size);
      expect(of(skipped.state.carried as LaneStates)).toEqual(of(begun));
    }
  });
});

/** A rate at which parameters stay what they are. */
const still: Partial<LoopOptions> = { schedule: { peak: 1e-30, warmup: 0, decay: "constant", floor: 0 } };

function withoutSeconds({ seconds: _, ...state }: LoopState): Omit<LoopState, "seconds"> {
  return state;
}
