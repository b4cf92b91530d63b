/** The search for a learning rate: where it goes, what it leaves alone, when it ends. */
import { afterAll, describe, expect, it } from "vitest";
import { firstPlace } from "../data/mixture.ts";
import { tokensInMemory } from "../data/token-sequence.ts";
import { parseModelConfig } from "../models/config.ts";
import { modelOf, parametersOf } from "../models/language-model.ts";
import { initialise } from "../nn/scope.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { createEvaluator } from "./evaluate.ts";
import type { LoopState } from "./loop.ts";
import { initialOptimizerState } from "./optimizer.ts";
import { bestRate, MOST_TRIALS, type RateTrial, searchRate, trialSteps } from "./rate-search.ts";
import { createTrainStep } from "./step.ts";

const engine = ortNodeEngine();
afterAll(() => engine.close());

const shape = { batch: 4, context: 32 };
const config = parseModelConfig({
  ...{ architecture: "flash", vocabSize: 61, width: 16, layers: 1, shared: 8, chunk: 8, maxLength: 32 },
});
const tokens = Int32Array.from({ length: 4001 }, (_, i) => (i * 7 + (i >> 3)) % 61);
const corpora = [{ name: "text", sequence: tokensInMemory(tokens), weight: 1 }];

function begin(): LoopState {
  const parameters = initialise(parametersOf(config), 1);
  const counters = { step: 0, updates: 0, skippedInRow: 0, seconds: 0 };
  return { parameters, optimizer: initialOptimizerState(parameters), ...counters, data: firstPlace(corpora) };
}

async function trialsFrom(from: number, stopRequested = () => false): Promise<RateTrial[]> {
  const step = await createTrainStep(engine, modelOf(config), shape);
  const evaluator = await createEvaluator(engine, modelOf(config), shape);
  const optimizer = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, clip: 1 };
  const options = {
    ...{ ...shape, accumulate: 1, steps: 1000, optimizer, seed: 1, evalEvery: 1000, saveEvery: 1000, maxSkips: 3 },
    schedule: { peak: from, warmup: 0, decay: "constant", floor: 0 } as const,
  };
  const heldOut = [{ name: "text", sequence: tokensInMemory(tokens.slice(0, 500)) }];
  const loop = { step, evaluator, corpora, heldOut, options, stopRequested };
  const trials: RateTrial[] = [];
  for await (const trial of searchRate({ loop, begin, steps: 25, from })) trials.push(trial);
  await step.release();
  await evaluator.release();
  return trials;
}

describe("searchRate", () => {
  it("goes up from a rate that is far too low, by factors of two, as far as trials are allowed", async () => {
    const trials = await trialsFrom(1e-5);
    expect(trials.map(({ rate }) => rate)).toEqual([1e-5, 2e-5, 4e-5, 8e-5, 16e-5]);
    const losses = trials.map(({ loss }) => loss);
    expect(losses).toEqual(losses.toSorted((a, b) => b - a));
    expect(trials).toHaveLength(MOST_TRIALS);
  });

  it("ends between two rates that are worse, and gives the same numbers again", async () => {
    const trials = await trialsFrom(0.05);
    const best = bestRate(trials);
    const rates = trials.map(({ rate }) => rate);
    if (trials.length < MOST_TRIALS) expect(rates).toEqual(expect.arrayContaining([best / 2, best * 2]));
    expect(await trialsFrom(0.05)).toEqual(trials);
  });

  it("goes down from a rate at which training diverges", async () => {
    const trials = await trialsFrom(1e30);
    expect(trials.map(({ rate }) => rate)).toEqual([1e30, 5e29, 2.5e29, 1.25e29, 6.25e28]);
    expect(trials.every(({ loss }) => loss === Number.POSITIVE_INFINITY)).toBe(true);
    expect(() => bestRate(trials)).toThrow("training diverged at every rate that was tried: 1e+30, 5e+29");
  });

  it("ends without a trial when a stop is asked for", async () => {
    expect(await trialsFrom(0.01, () => true)).toEqual([]);
  });
});

it("trials together take a fifth of a training, but are not too short to tell anything", () => {
  expect(trialSteps(5000) * MOST_TRIALS).toBe(1000);
  expect(trialSteps(100)).toBe(40);
});
