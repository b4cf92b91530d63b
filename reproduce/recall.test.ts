/** Batches of made windows in the loop of `longhand train`, and asking a model at a distance. */
import { ortNodeEngine } from "longhand";
import { parametersOf } from "longhand/models";
import { initialise } from "longhand/nn";
import {
  type Batch,
  firstPlace,
  initialOptimizerState,
  type LoopState,
  type TrainStep,
  tokensInMemory,
  trainLoop,
} from "longhand/train";
import { afterAll, describe, expect, it, vi } from "vitest";
import { RECALL_CONTEXT, recallModel, trainingOf } from "./models.ts";
import { ask, askAt, recallBatch, windowsAt } from "./recall.ts";

const engine = ortNodeEngine({ device: "cpu", threads: 1 });
afterAll(() => engine.close());

const made = (index: number) => recallBatch({ seed: 3, batch: 2, index, length: 64 });

describe("a batch of made windows", () => {
  it("weighs its answers alike, and nothing else", () => {
    const { tokens, targets, weights, answers } = made(0);
    expect([tokens.length, targets.length, weights.length]).toEqual([128, 128, 128]);
    expect(weights.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 6);
    expect([...weights.keys()].filter((i) => weights[i] > 0)).toEqual(
      answers.map(({ at }) => at).sort((a, b) => a - b),
    );
    expect(made(1).tokens).not.toEqual(tokens);
  });

  it("is learnt by its number, also where a training goes on", async () => {
    const seen: Batch[] = [];
    const step: TrainStep = {
      run: async () => ({ loss: 1, gradientNorm: 1, applied: true, graphMs: 0, optimizerMs: 0 }),
      async submit(inputs) {
        seen.push(...inputs.batches);
        return [await this.run(inputs)];
      },
      settle: async () => [],
      current: (parameters) => parameters,
      toHost: async () => {},
      release: async () => {},
    };
    const evaluator = { run: async () => ({ loss: 1, totalLoss: 1, tokens: 1 }), release: async () => {} };
    const heldOut = [{ name: "made", sequence: tokensInMemory(new Int32Array(0)) }];
    const state: LoopState = {
      ...{ parameters: {}, optimizer: initialOptimizerState({}), data: firstPlace([]) },
      ...{ step: 0, updates: 0, skippedInRow: 0, seconds: 0 },
    };
    const run = async (steps: number) => {
      const options = trainingOf({ steps, batch: 2, context: 64 });
      const inputs = { state, step, evaluator, heldOut, corpora: [], made, options, stopRequested: () => false };
      for await (const event of trainLoop(inputs)) if (event.type === "end") expect(event.finished).toBe(true);
    };
    await run(2);
    await run(4);
    expect(seen.map(({ tokens }) => tokens)).toEqual([0, 1, 2, 3].map((index) => made(index).tokens));
    expect(state.data.examples).toBe(8);
  });
});

describe("asking", () => {
  const modelOfName = (model: string) => {
    // A head of its own starts at zero: all tokens would be the likeliest.
    const config = { ...recallModel({ model, context: RECALL_CONTEXT }), head: "tied" as const };
    return { config, parameters: initialise(parametersOf(config), 1) };
  };

  it("counts each question of each window, and right answers of a model that knows nothing by chance", async () => {
    const windows = 16;
    const { loss, answers } = await ask(engine, { ...modelOfName("flash"), length: 256, windows, distance: 32 });
    for (const { task, asked, correct } of answers) {
      expect(asked).toBeLessThanOrEqual(windows * { name: 1, pairs: 4, copy: 8 }[task]);
      expect(asked).toBeGreaterThan(windows * { name: 1, pairs: 4, copy: 8 }[task] * 0.8);
      expect(correct).toBeLessThan(asked / 2);
    }
    expect(loss).toBeGreaterThan(1);
  });

  it("has windows of the training where a distance fits into them, and longer ones beyond", () => {
    expect(windowsAt(16, 256)).toEqual({ length: 256, windows: 64 });
    expect(windowsAt(256, 256)).toEqual({ length: 512, windows: 64 });
    expect(windowsAt(16_384, 256)).toEqual({ length: 16_640, windows: 31 });
  });

  it("says why it does not ask: the architecture, the memory", async () => {
    const asked = (model: string, distance: number) =>
      askAt(engine, distance, { ...modelOfName(model), context: RECALL_CONTEXT });
    expect((await asked("flash-quad", 512)).leftOut).toMatch(/exceeds the model's maxLength of 256/);
    vi.stubEnv("LONGHAND_MEMORY_LIMIT", "10MB");
    try {
      expect((await asked("transformer++", 512)).leftOut).toMatch(/^it needs about 0\.\d GB and there are 0\.0 GB$/);
    } finally {
      vi.unstubAllEnvs();
    }
  });
});
