import { describe, expect, it } from "vitest";
import { learningRate } from "./schedule.ts";

const at = (decay: "linear" | "cosine" | "constant", step: number, floor = 0) =>
  learningRate({ peak: 2, warmup: 10, decay, floor }, step, 110);

describe("learningRate", () => {
  it("grows linearly to the peak at the end of the warm-up", () => {
    expect([1, 5, 10].map((step) => at("linear", step))).toEqual([0.2, 1, 2]);
  });
  it("decays linearly to zero at the last step", () => {
    expect([60, 110].map((step) => at("linear", step))).toEqual([1, 0]);
  });
  it("decays along half a cosine", () => {
    expect(at("cosine", 35)).toBeCloseTo(1 + Math.SQRT1_2, 12);
    expect(at("cosine", 60)).toBeCloseTo(1, 12);
    expect(at("cosine", 110)).toBeCloseTo(0, 12);
  });
  it("keeps a floor and never falls below it after the last step", () => {
    expect([110, 500].map((step) => at("linear", step, 0.25))).toEqual([0.5, 0.5]);
  });
  it("can stay constant, and can start without a warm-up", () => {
    expect(at("constant", 100)).toBe(2);
    expect(learningRate({ peak: 1, warmup: 0, decay: "linear", floor: 0 }, 1, 4)).toBe(0.75);
  });
});
