/** Processes that meet only now and then: alike after each meeting, by the formula of the outer step. */
import { expect, it } from "vitest";
import { expectClose } from "../../test/support/compare.ts";
import { ranksHere } from "../../test/support/ranks.ts";
import { withLocalSteps, withOuter } from "./local-steps.ts";
import type { StepInputs, StepResult, TrainStep } from "./training-step.ts";

const outer = { rate: 0.7, momentum: 0.9 };
const optimizer = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, clip: 1 };
const result: StepResult = { loss: 2, gradientNorm: 1, applied: true, graphMs: 0, optimizerMs: 0 };

/** A step that adds its own number to the parameter, and counts the updates that it was told. */
function stepBy(amount: number, told: number[], loss: number): TrainStep {
  const run = async ({ parameters, state, update }: StepInputs) => {
    told.push(update);
    parameters.w.data[0] += amount;
    state.m.w[0] += amount;
    return { ...result, loss, applied: Number.isFinite(loss) };
  };
  const others = { settle: async () => [], toHost: async () => {}, release: async () => {} };
  return { run, submit: async (inputs) => [await run(inputs)], current: (parameters) => parameters, ...others };
}

const inputs = (): StepInputs => ({
  parameters: { w: { dtype: "float32", shape: [1], data: Float32Array.of(1) } },
  state: withOuter({ m: { w: new Float32Array(1) }, v: { w: new Float32Array(1) } }),
  ...{ batches: [], learningRate: 1, update: 1, config: optimizer },
});

it("moves by the momentum of what the processes have come to in the mean, every few steps", async () => {
  const told: number[][] = [[], []];
  const ranks = ranksHere(2).map((communicator, rank) => {
    const step = withLocalSteps(stepBy(rank + 1, told[rank], rank + 1), { every: 2, outer, communicator });
    return { step, own: inputs() };
  });
  const submit = (update: number) => Promise.all(ranks.map(({ step, own }) => step.submit({ ...own, update })));
  expect(await submit(1)).toEqual([[], []]);
  const both = [
    { ...result, loss: 1.5 },
    { ...result, loss: 1.5 },
  ];
  expect(await submit(1)).toEqual([both, both]); // the loop counts updates when it hears of them
  await submit(3);
  expect(await Promise.all(ranks.map(({ step }) => step.settle()))).toEqual([[both[0]], [both[0]]]);
  expect(told).toEqual([
    [1, 2, 3],
    [1, 2, 3],
  ]);
  // Two steps of 1.5 in the mean, then one.
  let [at, momentum] = [1, 0];
  for (const mean of [3, 1.5]) {
    momentum = outer.momentum * momentum - mean;
    at -= outer.rate * (-mean + outer.momentum * momentum);
  }
  for (const { own } of ranks) {
    const { m, outer: moved = {} } = own.state;
    expectClose(own.parameters.w.data, [at], { name: "w", tolerance: 1e-6 });
    expectClose(moved.w, [momentum], { name: "momentum", tolerance: 1e-6 });
    expect([...m.w]).toEqual([4.5]);
  }
});

it("says that a step was not taken where one process has not taken it", async () => {
  const steps = ranksHere(2).map((communicator, rank) => {
    return withLocalSteps(stepBy(1, [], rank === 0 ? 2 : Number.NaN), { every: 1, outer, communicator });
  });
  for (const results of await Promise.all(steps.map((step) => step.submit(inputs())))) {
    expect(results).toMatchObject([{ applied: false, loss: Number.NaN }]);
  }
});
