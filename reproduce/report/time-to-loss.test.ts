/** Times to a loss on curves whose answers are worked out by hand. */
import { describe, expect, it } from "vitest";
import { timeToLoss } from "./time-to-loss.ts";

const curve = [
  { step: 10, seconds: 20, loss: 6 },
  { step: 20, seconds: 40, loss: 5 },
  { step: 30, seconds: 70, loss: 4.5 },
];

describe("timeToLoss", () => {
  it("is on the line between two evaluations", () => {
    // A quarter of the way from 6 to 5: step 10 + 2.5, second 20 + 5.
    expect(timeToLoss(curve, 5.75)).toEqual({ step: 12.5, seconds: 25 });
    // 4.6 is four fifths of the way from 5 to 4.5.
    const found = timeToLoss(curve, 4.6);
    expect(found?.step).toBeCloseTo(28, 9);
    expect(found?.seconds).toBeCloseTo(64, 9);
  });

  it("is the evaluation itself where that is the loss", () => {
    expect(timeToLoss(curve, 5)).toEqual({ step: 20, seconds: 40 });
    expect(timeToLoss(curve, 4.5)).toEqual({ step: 30, seconds: 70 });
  });

  it("is the first point where the curve begins below, and nothing where it never comes down", () => {
    expect(timeToLoss(curve, 7)).toEqual({ step: 10, seconds: 20 });
    expect(timeToLoss(curve, 4.4)).toBeUndefined();
    expect(timeToLoss([], 1)).toBeUndefined();
  });

  it("is the first time, not the last", () => {
    const wavy = [...curve, { step: 40, seconds: 90, loss: 5.5 }, { step: 50, seconds: 110, loss: 4 }];
    expect(timeToLoss(wavy, 5)).toEqual({ step: 20, seconds: 40 });
  });
});
