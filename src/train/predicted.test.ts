/** The loss at predicted places alone: which they are, and that loss and gradients are those of all logits. */
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { interpret } from "../../test/reference/interpreter.ts";
import { expectClose } from "../../test/support/compare.ts";
import { type MaskingVocabulary, maskedBatch, mostMasked } from "../data/masking.ts";
import { parseModelConfig } from "../models/config.ts";
import { modelOf, parametersOf } from "../models/language-model.ts";
import { initialise } from "../nn/scope.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { trainingProgram } from "./objective.ts";
import { initialOptimizerState } from "./optimizer.ts";
import { predictedIn } from "./predicted.ts";
import { createTrainStep } from "./step.ts";

const [batch, context, vocabSize] = [2, 21, 31];
const count = batch * context;
const vocabulary: MaskingVocabulary = { vocabSize, special: { endOfText: 0, padding: 1, mask: 2 } };
const config = parseModelConfig({
  ...{ architecture: "flash", vocabSize, width: 12, layers: 2, shared: 8, chunk: 8, maxLength: context },
  causal: false,
});
const model = modelOf(config);

/** Every n-th token ends a text: it is not masked, and places are left over. */
const textOf = (n: number) => Int32Array.from({ length: count }, (_, i) => (i % n === 0 ? 0 : 3 + ((i * i) % 25)));

describe("predictedIn", () => {
  it("lists the places that have a weight, in order, with their targets and weights; then zeros", () => {
    const anyBatch = fc.array(fc.record({ target: fc.nat(), weight: fc.constantFrom(0, 0, 0.25, 1) }));
    fc.assert(
      fc.property(anyBatch, fc.nat(4), (tokens, spare) => {
        const targets = Int32Array.from(tokens, ({ target }) => target);
        const weights = Float32Array.from(tokens, ({ weight }) => weight);
        const expected = [...weights.keys()].filter((at) => weights[at] !== 0);
        const most = expected.length + spare;
        const { inputs, count } = predictedIn({ targets, weights }, most);
        const padded = (values: number[]) => [...values, ...new Array<number>(spare).fill(0)];
        expect(count).toBe(expected.length);
        expect([...inputs.places]).toEqual(padded(expected));
        expect([...inputs.targets]).toEqual(padded(expected.map((at) => targets[at])));
        expect([...inputs.weights]).toEqual(padded(expected.map((at) => weights[at])));
      }),
    );
  });

  it("refuses more places than there are rows for", () => {
    const weights = Float32Array.of(0.5, 0, 0.5);
    expect(() => predictedIn({ targets: new Int32Array(3), weights }, 1)).toThrow(
      "weights: expected at most 1 of 3 tokens to have one, as masking selects, got 2",
    );
  });
});

describe("a masked program", () => {
  const parameters = initialise(parametersOf(config), 1);
  const values = Object.fromEntries(Object.entries(parameters).map(([path, { data }]) => [path, data]));
  const whole = trainingProgram(model, { batch, context }, { weighted: true }).program;
  const { program } = trainingProgram(model, { batch, context }, { masked: true });

  it.each([
    ["with a token at each place", 1000],
    ["with places left over", 3],
  ])("has the loss and gradients of all logits, %s", (_, every) => {
    const { tokens, targets, weights } = maskedBatch({ vocabulary, tokens: textOf(every), seed: 1, index: 0 });
    const { inputs, count: predicted } = predictedIn({ targets, weights }, mostMasked(count));
    expect(predicted < inputs.places.length).toBe(every === 3);
    const expected = interpret(whole, { ...values, tokens, targets, weights });
    const actual = interpret(program, { ...values, tokens, ...inputs });
    expect(Object.keys(actual)).toEqual(Object.keys(expected));
    for (const [name, { data, shape }] of Object.entries(expected)) {
      expectClose(actual[name].data, data, { name, shape, tolerance: 1e-12 });
    }
  });

  it("computes no logits of other tokens", () => {
    const rowsOf = ({ nodes }: typeof program) =>
      nodes.flatMap(({ outputs }) => outputs.flatMap(({ shape: [n, v] }) => (v === vocabSize ? [n] : [])));
    expect(Math.max(...rowsOf(whole))).toBe(count);
    expect(rowsOf(program)).toContain(mostMasked(count));
    expect(Math.max(...rowsOf(program))).toBe(config.width); // of the table, transposed
  });
});

describe("a masked step", () => {
  const engine = ortNodeEngine({ threads: 2 });
  afterAll(() => engine.close());

  it.each([
    ["on the host", false],
    ["on a device", true],
  ])("is a weighted step %s", async (_, onDevice) => {
    const steps = await Promise.all(
      [{ weighted: true }, { masked: true }].map((objective) =>
        createTrainStep(engine, model, { batch, context }, { ...objective, onDevice }),
      ),
    );
    const results = steps.map(async (step) => {
      const parameters = initialise(parametersOf(config), 1);
      const state = initialOptimizerState(parameters);
      const optimizer = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, clip: 1 };
      const told = [];
      for (const index of [1, 2, 3]) {
        const { tokens, targets, weights } = maskedBatch({ vocabulary, tokens: textOf(4), seed: 1, index });
        const batches = [{ tokens, targets, weights }];
        told.push(await step.run({ parameters, state, batches, learningRate: 1e-3, update: index, config: optimizer }));
      }
      await step.release();
      return told.flatMap(({ loss, gradientNorm }) => [loss, gradientNorm]);
    });
    const [whole, masked] = await Promise.all(results);
    expectClose(masked, whole, { name: "losses and norms", tolerance: 1e-6 });
  });
});
