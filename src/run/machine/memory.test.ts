/** The estimate of memory with states that are carried on. (What a training takes in all is measured by the benchmarks.) */
import { expect, it, vi } from "vitest";
import { sizeOf } from "../../base/shape.ts";
import { carriedState } from "../../models/carry.ts";
import { parseModelConfig } from "../../models/config.ts";
import { parameterCount, parametersOf } from "../../models/language-model.ts";
import { presetModel } from "../../models/presets.ts";
import { tuningOf } from "../../models/tuning.ts";
import type { CarriedState } from "../../nn/past.ts";
import type { Tuning } from "../../nn/scope.ts";
import { BINDING_VARIABLE, bindings } from "../../runtime/ort-node.ts";
import { type TrainingMemoryInputs, trainingMemory } from "./memory.ts";

it("counts gradients twice where the binding copies them", () => {
  const model = parseModelConfig({ ...presetModel("flash", "nano", { context: 128 }), vocabSize: 300 });
  const estimate = () => trainingMemory({ model, batch: 1, context: 128, accumulate: 1, recompute: "none" });
  const bytes = bindings.map((binding) => {
    vi.stubEnv(BINDING_VARIABLE, binding);
    return estimate();
  });
  vi.unstubAllEnvs();
  const embedding = 4 * 300 * model.width;
  const gradients = 4 * parameterCount(model);
  // The embedding's gradient comes as rows of its own as well, one a token.
  expect(bytes[1] - bytes[0]).toBeGreaterThanOrEqual(gradients);
  expect(bytes[1] - bytes[0]).toBeLessThan(gradients + embedding);
});

it("knows the states of every lane of every corpus, and the average of the parameters", () => {
  const model = parseModelConfig({ ...presetModel("flash", "nano", { context: 128 }), vocabSize: 300 });
  const shape = { model, batch: 2, context: 128, accumulate: 3, recompute: "none", evaluated: false } as const;
  const { entries } = carriedState(model) as CarriedState;
  const ofLane = [...entries.values()].reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0);
  const estimate = (changed: Partial<TrainingMemoryInputs>) => trainingMemory({ ...shape, ...changed });
  expect(estimate({ carry: true, corpora: 4 }) - estimate({ carry: true, corpora: 1 })).toBe(3 * 6 * ofLane);
  expect(estimate({ carry: true, carryEvery: 5 }) - estimate({ carry: true, carryEvery: 1 })).toBe(4 * 6 * ofLane);
  expect(estimate({ carry: true }) - estimate({})).toBeGreaterThan(6 * ofLane);
  expect(estimate({ averaged: true }) - estimate({})).toBeGreaterThanOrEqual(4 * parameterCount(model));
  expect(estimate({ carry: true, accumulate: 6 }) - estimate({ carry: true, accumulate: 3 })).toBe(3 * 6 * ofLane);
});

it("counts neither gradients nor moments of what is not trained", () => {
  const model = parseModelConfig({ ...presetModel("flash", "nano", { context: 128 }), vocabSize: 8192 });
  const shape = { model, batch: 1, context: 128, accumulate: 2, recompute: "none", evaluated: false } as const;
  const estimate = (tuning: Tuning, averaged = false) => trainingMemory({ ...shape, tuning, averaged });
  vi.stubEnv(BINDING_VARIABLE, "c-api");
  const table = 4 * 8192 * model.width;
  // Its gradient, both moments and the sum of two batches; what the backward pass needs for it comes on top.
  expect(estimate({}) - estimate(tuningOf({ freeze: ["embedding"] }))).toBeGreaterThanOrEqual(4 * table);
  const adapter = { rank: 4, alpha: 4 };
  const adapters = 4 * parametersOf(model, { adapter }).reduce((sum, p) => sum + (p.trained ? sizeOf(p.shape) : 0), 0);
  const averages = estimate({ adapter }, true) - estimate({ adapter });
  expect(averages).toBe(adapters + 4); // the loss is counted as an output too
  // The maps with their adapters added exist while a step is computed.
  expect(estimate({ adapter })).toBeLessThan(estimate({}) - 3 * (4 * parameterCount(model) - adapters));
  vi.unstubAllEnvs();
});
