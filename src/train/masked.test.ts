/** Masked language modelling with every architecture: it learns to fill in, and is measured as its logits say. */
import { afterAll, describe, expect, it } from "vitest";
import { interpret } from "../../test/reference/interpreter.ts";
import { smallModel } from "../../test/support/small-model.ts";
import { type MaskingVocabulary, maskedBatch } from "../data/masking.ts";
import { tokensInMemory } from "../data/token-sequence.ts";
import { program } from "../graph/program.ts";
import { input } from "../graph/tensor.ts";
import { languageModel, logitsOf, modelOf, parametersOf } from "../models/language-model.ts";
import { architectureNames } from "../models/registry.ts";
import { initialise, Scope } from "../nn/scope.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { createEvaluator } from "./evaluate.ts";
import { initialOptimizerState } from "./optimizer.ts";
import { createTrainStep } from "./step.ts";

const [batch, context, vocabSize] = [2, 35, 24];
const vocabulary: MaskingVocabulary = { vocabSize, special: { endOfText: 0, padding: 1, mask: 2 } };
const engine = ortNodeEngine({ threads: 2 });
afterAll(() => engine.close());

/** Ascending tokens, an end of text now and then: what is missing follows from either side. */
const text = (length: number) => Int32Array.from({ length }, (_, i) => (i % 50 === 49 ? 0 : 3 + (i % 7)));

describe.each(architectureNames())("%s", (architecture) => {
  const config = smallModel(architecture, { context, vocabSize, causal: false });
  const model = modelOf(config);

  it("learns to fill in", async () => {
    const parameters = initialise(parametersOf(config), 1);
    const state = initialOptimizerState(parameters);
    const step = await createTrainStep(engine, model, { batch, context }, { masked: true });
    const optimizer = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, clip: 1 };
    const losses: number[] = [];
    for (let update = 1; update <= 40; update++) {
      const tokens = text(update + batch * context).slice(update);
      const batches = [maskedBatch({ vocabulary, tokens, seed: 1, index: update })];
      losses.push((await step.run({ parameters, state, batches, learningRate: 5e-3, update, config: optimizer })).loss);
    }
    const late = losses.slice(-10).reduce((sum, loss) => sum + loss / 10, 0);
    expect(losses[0]).toBeGreaterThan(2.5);
    expect(late).toBeLessThan(0.75 * losses[0]);
    await step.release();
  });

  it("is measured over the selected tokens, without a look at padding", async () => {
    const parameters = initialise(parametersOf(config), 2);
    const evaluator = await createEvaluator(engine, model, { batch, context }, { masking: vocabulary });
    const length = 2 * context + 9; // the third window is short, the fourth empty
    const sequence = tokensInMemory(text(length + 1));
    const found = await evaluator.run(parameters, sequence);
    expect(await evaluator.run(parameters, sequence)).toEqual(found);

    const tokens = input("tokens", [batch, context], "int32");
    const mask = input("mask", [batch, context]);
    const graph = program("test", { logits: logitsOf(languageModel(new Scope(), tokens, config, { mask })) });
    const values = Object.fromEntries(Object.entries(parameters).map(([path, { data }]) => [path, data]));
    const total = { loss: 0, correct: 0, tokens: 0 };
    for (const index of [0, 1]) {
      const start = index * batch * context;
      const real = Float32Array.from({ length: batch * context }, (_, at) => Number(start + at < length));
      const targets = real.map((one, at) => one * text(length + 1)[1 + start + at] || 0);
      const masked = maskedBatch({ vocabulary, tokens: Int32Array.from(targets), real, seed: 15, index });
      // Any token may stand where none is.
      const seen = masked.tokens.map((id, at) => (real[at] ? id : 5));
      const logits = interpret(graph, { ...values, tokens: seen, mask: real }).logits.data;
      for (const [at, weight] of masked.weights.entries()) {
        if (weight === 0) continue;
        const row = Array.from(logits.slice(at * vocabSize, (at + 1) * vocabSize));
        total.loss += Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0)) - row[targets[at]];
        total.correct += Number(row[targets[at]] === Math.max(...row));
        total.tokens += 1;
      }
    }
    expect(found.tokens).toBe(total.tokens);
    expect(found.loss).toBeCloseTo(total.loss / total.tokens, 4);
    expect(found.accuracy).toBeCloseTo(total.correct / total.tokens, 10);
    await evaluator.release();
  });
});

it("a text of special tokens alone cannot be measured", async () => {
  const config = smallModel("flash", { context, vocabSize, causal: false });
  const model = modelOf(config);
  const evaluator = await createEvaluator(engine, model, { batch: 1, context: 8 }, { masking: vocabulary });
  const nothing = evaluator.run(initialise(parametersOf(config), 1), tokensInMemory(new Int32Array(5)));
  await expect(nothing).rejects.toThrow("expected ordinary tokens to mask, got 4 special ones");
});
