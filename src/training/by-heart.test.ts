import { describe, expect, it } from "vitest";
import { learntByHeart } from "./by-heart.ts";

const evaluations = (...losses: readonly number[]) => losses.map((loss, i) => ({ step: 100 * (i + 1), loss }));

describe("learntByHeart", () => {
  it("says where the held-out loss was lowest, and what would help", () => {
    expect(learntByHeart(evaluations(5.1, 4.88, 5.4, 5.65))).toBe(
      "the held-out perplexity was lowest at step 200 (131.6) and is 284.3 now: the model has begun to learn its text by " +
        "heart; more text, about 200 steps or a stronger weight decay would make a better one",
    );
  });

  it("says nothing of a loss that falls to the end, or rises by no more than chance", () => {
    expect(learntByHeart([])).toBeUndefined();
    expect(learntByHeart(evaluations(4))).toBeUndefined();
    expect(learntByHeart(evaluations(5, 4, 4.3, 3.9))).toBeUndefined();
    expect(learntByHeart(evaluations(5, 4, 4.019))).toBeUndefined();
    expect(learntByHeart(evaluations(5, 4, 4.021))).toBeDefined();
  });
});
