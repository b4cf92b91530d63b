/** What keeps a trained model from reading longer windows, and what a window that is read gives. */
import { ortNodeEngine } from "longhand";
import { modelOf, parametersOf } from "longhand/models";
import { initialise } from "longhand/nn";
import { createEvaluator, sliceTokens, tokensInMemory } from "longhand/train";
import { afterAll, describe, expect, it, vi } from "vitest";
import { readInWindow } from "./far-windows.ts";
import { madeUpTokens } from "./made-up-tokens.ts";
import { modelConfig } from "./models.ts";

const engine = ortNodeEngine({ device: "cpu", threads: 1 });
afterAll(() => engine.close());

const vocabSize = 300;
const text = tokensInMemory(madeUpTokens([1, 2], vocabSize, 601));

function made(model: string) {
  const config = modelConfig({ model, preset: "nano", context: 64, vocabSize, objective: "causal" });
  return { config, parameters: initialise(parametersOf(config), 1) };
}

function read(model: string, window: number, tokens = 256) {
  return readInWindow(engine, { ...made(model), text, window, tokens });
}

describe("a window beyond the training context", () => {
  it("is read by positions that double, as many whole windows as enough tokens take", async () => {
    const { byPosition, leftOut } = await read("flash", 128);
    expect(leftOut).toBeNull();
    expect(byPosition.map(({ from, to, tokens }) => [from, to, tokens])).toEqual([
      [0, 16, 32],
      [16, 32, 32],
      [32, 64, 64],
      [64, 128, 128],
    ]);
    // The same tokens in the other order of calls: window by window.
    const { config, parameters } = made("flash");
    const evaluator = await createEvaluator(engine, modelOf(config), { batch: 1, context: 128 });
    const alone = [];
    for (const from of [0, 128]) alone.push(await evaluator.run(parameters, sliceTokens(text, from, from + 129)));
    await evaluator.release();
    const total = alone.reduce((sum, { totalLoss }) => sum + totalLoss, 0);
    expect(byPosition.reduce((sum, { nats }) => sum + nats, 0)).toBeCloseTo(total, 6);
    expect((await read("flash", 512)).byPosition.at(-1)).toMatchObject({ from: 256, to: 512, tokens: 256 });
  });

  it("says why it is not read: the text, the architecture, the memory", async () => {
    expect((await read("flash", 1024)).leftOut).toBe("the held-out text has 601 tokens");
    expect((await read("flash-quad", 128)).leftOut).toMatch(/exceeds the model's maxLength of 64/);
    vi.stubEnv("LONGHAND_MEMORY_LIMIT", "10MB");
    try {
      expect((await read("transformer++", 128)).leftOut).toMatch(/^it needs about 0\.\d GB and there are 0\.0 GB$/);
    } finally {
      vi.unstubAllEnvs();
    }
  });
});
