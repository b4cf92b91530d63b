/** The estimate of memory with states that are carried on. (What a training takes in all is measured by the benchmarks.) */
import { expect, it, vi } from "vitest";
import { sizeOf } from "../../base/shape.ts";
import { carriedState } from "../../models/carry.ts";
import { parseModelConfig } from "../../models/config.ts";
import { parameterCount } from "../../models/language-model.ts";
import { presetModel } from "../../models/presets.ts";
import type { CarriedState } from "../../nn/past.ts";
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
