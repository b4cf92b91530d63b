/** The numbers of a run as growing columns. */
import { expect, it } from "vitest";
import type { RunColumns } from "../../src/studio/api.ts";
import { History } from "./history.ts";

function columns(steps: number): RunColumns {
  const of = (value: (step: number) => number) => Float64Array.from({ length: steps }, (_, index) => value(index + 1));
  const constant = Float32Array.from({ length: steps }, () => 1);
  return {
    generation: "first",
    next: 10,
    train: {
      step: of((step) => step),
      tokens: of((step) => step * 8),
      seconds: of((step) => step / 4),
      loss: Float32Array.from(of((step) => 8 / step)),
      ...{ gradientNorm: constant, learningRate: constant, tokensPerSecond: constant, memory: of(() => Number.NaN) },
    },
    eval: { step: of(() => 1), tokens: of(() => 8), seconds: of(() => 0.25), loss: Float32Array.of(0, 0, 0) },
    others: [{ type: "sample", step: 2, prompt: "The ", text: "whale" }],
  };
}

it("goes on from what was read, record by record", () => {
  const history = new History(columns(3));
  const record = { loss: null, perplexity: null, gradientNorm: 2, learningRate: 0.1, tokensPerSecond: 5, memory: 7 };
  for (let step = 4; step <= 100; step++) {
    history.append({ type: "train", step, tokens: step * 8, seconds: step / 4, ...record });
  }
  history.append({ type: "eval", step: 100, loss: 1, perplexity: Math.E, tokens: 50 });
  history.append({ type: "skip", step: 101, reason: "not finite" });
  const loss = history.points("loss", "step");
  expect([...loss.x]).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
  expect([...loss.y.slice(0, 4)]).toEqual([8, 4, Math.fround(8 / 3), Number.NaN]);
  expect(history.points("memory", "tokens").y.at(-1)).toBe(7);
  const perplexity = history.points("perplexity", "seconds");
  expect([...perplexity.x]).toEqual([0.25, 0.25, 0.25, 25]);
  expect([...perplexity.y]).toEqual([1, 1, 1, Math.E]);
  expect(history.samples).toEqual([{ type: "sample", step: 2, prompt: "The ", text: "whale" }]);
  expect(history.skips).toHaveLength(1);
});
