/** Training on a device is the training of the host: losses, parameters, events; and little of it crosses. */
import { afterAll, describe, expect, it } from "vitest";
import { openEngine, testedEngines } from "../../test/conformance/engines.ts";
import { expectClose } from "../../test/support/compare.ts";
import type { HostTensor } from "../base/dtype.ts";
import { firstPlace } from "../data/mixture.ts";
import { tokensInMemory } from "../data/token-sequence.ts";
import { parseModelConfig } from "../models/config.ts";
import { modelOf, parametersOf } from "../models/language-model.ts";
import { initialise } from "../nn/scope.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { createEvaluator } from "./evaluate.ts";
import { type LoopOptions, type LoopState, type TrainEvent, trainLoop } from "./loop.ts";
import { initialOptimizerState } from "./optimizer.ts";
import { createTrainStep } from "./step.ts";

const shape = { batch: 2, context: 32 };
const config = parseModelConfig({
  ...{ architecture: "flash", vocabSize: 61, width: 16, layers: 1, shared: 8, chunk: 8 },
  maxLength: shape.context,
});
const model = modelOf(config);
const tokens = Int32Array.from({ length: 4001 }, (_, i) => (i * 7 + (i >> 3)) % 61);
const text = tokensInMemory(tokens);
const heldOut = [{ name: "text", sequence: tokensInMemory(tokens.slice(0, 130)) }];
const corpora = [{ name: "text", sequence: text, weight: 1 }];
const optimizer = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01, clip: 1 };
const options: LoopOptions = {
  ...{ ...shape, accumulate: 2, steps: 40, optimizer, seed: 1, evalEvery: 10, saveEvery: 15, maxSkips: 3 },
  schedule: { peak: 5e-3, warmup: 3, decay: "linear", floor: 0 },
};

function beginning(): LoopState {
  const parameters = initialise(parametersOf(config), 1);
  const counters = { step: 0, updates: 0, skippedInRow: 0, seconds: 0 };
  return { parameters, optimizer: initialOptimizerState(parameters), ...counters, data: firstPlace(corpora) };
}

/** A copy of all that a checkpoint would hold. */
function copied({ parameters, optimizer: { m, v }, ...rest }: LoopState): LoopState {
  const arrays = (from: Readonly<Record<string, Float32Array>>) =>
    Object.fromEntries(Object.entries(from).map(([path, data]) => [path, data.slice()]));
  const tensors = Object.entries(parameters).map(([path, own]) => [path, { ...own, data: own.data.slice() }]);
  return {
    ...rest,
    parameters: Object.fromEntries(tensors) as Record<string, HostTensor>,
    optimizer: { m: arrays(m), v: arrays(v) },
  };
}

/** The engines that run more than a step in reasonable time. */
const engines = testedEngines.filter((name) => name !== "interpreter");

describe.each(engines)("%s", (name) => {
  const engine = openEngine(name);
  const tolerance = name === "cpu" ? 1e-5 : 1e-3;
  afterAll(() => engine.close());

  interface Told {
    readonly events: readonly TrainEvent[];
    readonly state: LoopState;
    readonly saved: readonly LoopState[];
  }

  async function trained(
    onDevice: boolean,
    state: LoopState,
    { stopAfter = Infinity, ...changed }: Partial<LoopOptions> & { readonly stopAfter?: number } = {},
  ): Promise<Told> {
    const step = await createTrainStep(engine, model, shape, { onDevice });
    const evaluator = await createEvaluator(engine, model, shape);
    const events: TrainEvent[] = [];
    const saved: LoopState[] = [];
    const inputs = { state, step, evaluator, corpora, heldOut, options: { ...options, ...changed } };
    for await (const event of trainLoop({ ...inputs, stopRequested: () => state.step >= stopAfter })) {
      events.push(event);
      if (event.type === "save") saved.push(copied(state));
    }
    await step.release();
    await evaluator.release();
    return { events, state, saved };
  }

  const order = ({ events }: Told) => events.map(({ type, step }) => `${type} ${step}`);

  function expectSame(actual: Told, expected: Told): void {
    expect(order(actual)).toEqual(order(expected));
    for (const [i, event] of expected.events.entries()) {
      if (event.type === "train" || event.type === "eval") {
        const { loss } = actual.events[i] as typeof event;
        expect(Math.abs(loss - event.loss), `${event.type} ${event.step}`).toBeLessThanOrEqual(tolerance * event.loss);
      }
    }
    expect(actual.saved.length).toBe(expected.saved.length);
    for (const [i, { parameters, updates }] of expected.saved.entries()) {
      expect(actual.saved[i].updates).toBe(updates);
      for (const [path, { data }] of Object.entries(parameters)) {
        expectClose(actual.saved[i].parameters[path].data, data, {
          name: `${path} of save ${i}`,
          tolerance: 30 * tolerance,
        });
      }
    }
  }

  it("tells the same of a training on either side, and saves the same", async () => {
    const host = await trained(false, beginning());
    const device = await trained(true, beginning());
    expectSame(device, host);
    const losses = host.events.flatMap((event) => (event.type === "train" ? [event.loss] : []));
    expect(losses[39]).toBeLessThan(losses[0]);
  });

  it("goes on from what it saved, to the bit where the runtime repeats its results", async () => {
    const whole = await trained(true, beginning());
    const [saved] = whole.saved;
    const rest = await trained(true, copied(saved));
    expect(order(rest)).toEqual(order(whole).slice(-order(rest).length));
    const last = (told: Told) => told.saved[told.saved.length - 1];
    for (const [path, { data }] of Object.entries(last(whole).parameters)) {
      expectClose(last(rest).parameters[path].data, data, { name: path, tolerance: name === "cpu" ? 0 : tolerance });
    }
  });

  it("stops when asked, with what is not told yet told and saved", async () => {
    const host = await trained(false, beginning(), { stopAfter: 4, evalEvery: 100 });
    expect(order(host).slice(-3)).toEqual(["train 4", "save 4", "end 4"]);
    const device = await trained(true, beginning(), { stopAfter: 4, evalEvery: 100 });
    const steps = device.state.step; // those that had been submitted when the fourth was told
    expect(order(device).slice(-3)).toEqual([`train ${steps}`, `save ${steps}`, `end ${steps}`]);
    expect(order(device).slice(0, 4)).toEqual(order(host).slice(0, 4));
    expect(device.state.updates).toBe(steps);
  });

  it("skips steps that are not finite, and gives up after some in a row", async () => {
    for (const onDevice of [false, true]) {
      const state = beginning();
      const [path] = Object.keys(state.parameters);
      state.parameters[path].data[3] = Number.NaN;
      const before = copied(state);
      const run = trained(onDevice, state);
      await expect(run, String(onDevice)).rejects.toThrow(
        /3 steps in a row were not finite \(step 3: the loss is NaN\)/,
      );
      expect(state.parameters).toEqual(before.parameters);
      expect([state.updates, state.skippedInRow]).toEqual([0, 3]);
    }
  });

  it.runIf(name === "webgpu")("leaves no operator to the CPU", async () => {
    const strict = ortNodeEngine({ device: "webgpu", wholeOnDevice: true });
    const step = await createTrainStep(strict, model, shape, { onDevice: true });
    const { parameters, optimizer: state } = beginning();
    const batch = { tokens: tokens.slice(0, 64), targets: tokens.slice(1, 65) };
    const given = { parameters, state, learningRate: 1e-3, update: 1, config: optimizer };
    expect((await step.run({ ...given, batches: [batch, batch] })).applied).toBe(true);
    await step.release();
    await strict.close();
  });

  it("reads back a few bytes a step, and sends the batch", async () => {
    const state = beginning();
    const step = await createTrainStep(engine, model, shape, { onDevice: true });
    const inputs = { parameters: state.parameters, state: state.optimizer, learningRate: 1e-3, config: optimizer };
    const batches = [{ tokens: tokens.slice(0, 64), targets: tokens.slice(1, 65) }];
    await step.run({ ...inputs, batches, update: 1 });
    const before = { ...engine.traffic };
    const results = [];
    for (let update = 2; update <= 33; update++) results.push(...(await step.submit({ ...inputs, batches, update })));
    results.push(...(await step.settle()));
    expect(results.length).toBe(32);
    expect(results.every(({ applied }) => applied)).toBe(true);
    const sent = (engine.traffic.sent - before.sent) / 32;
    const received = (engine.traffic.received - before.received) / 32;
    expect(sent).toBeLessThanOrEqual(2 * 64 * 4 + 12 + 256); // tokens, targets, three numbers; what else is constant
    expect(received).toBeLessThanOrEqual(200);
    await step.toHost();
    await step.release();
  });
});
