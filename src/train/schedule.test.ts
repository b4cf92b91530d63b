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

describe("a cool-down", () => {
  const stable = { peak: 2, warmup: 10, decay: "constant", floor: 0, cooldown: 20, cooldownShape: "linear" } as const;

  it("leaves the rate before it as it is, and takes it to zero", () => {
    expect([5, 60, 80, 90, 100].map((step) => learningRate(stable, step, 100))).toEqual([1, 2, 2, 1, 0]);
  });
  it("falls as one minus a square root unless it is to be linear", () => {
    const { cooldownShape: _, ...sqrt } = stable;
    expect(learningRate(sqrt, 85, 100)).toBeCloseTo(1, 12);
    expect(learningRate(sqrt, 100, 100)).toBe(0);
  });
  it("does not reach back into the constant part, however long the run is", () => {
    for (const step of [1, 10, 50]) expect(learningRate(stable, step, 100)).toBe(learningRate(stable, step, 1000));
  });
  it("ends a decay that was planned for more steps, from the rate that it had reached", () => {
    const cut = {
      peak: 2,
      warmup: 0,
      decay: "linear",
      floor: 0,
      cooldown: 10,
      cooldownShape: "linear",
      planned: 100,
    } as const;
    expect([50, 55, 60].map((step) => learningRate(cut, step, 60))).toEqual([1, 0.5, 0]);
  });
  it("can begin at the first step", () => {
    expect(learningRate({ ...stable, warmup: 0, cooldown: 4 }, 2, 4)).toBe(1);
  });
});
