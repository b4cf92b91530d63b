/**
 * Every architecture as a whole model: it learns on the engine, at a length that no chunk divides, causal and masked.
 */
import { afterAll, describe, expect, it } from "vitest";
import { interpret } from "../../test/reference/interpreter.ts";
import { expectClose } from "../../test/support/compare.ts";
import { smallModel } from "../../test/support/small-model.ts";
import { program } from "../graph/program.ts";
import { input } from "../graph/tensor.ts";
import { initialise, Scope } from "../nn/scope.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { trainingProgram } from "../train/objective.ts";
import { globalNorm, initialOptimizerState } from "../train/optimizer.ts";
import { createTrainStep } from "../train/step.ts";
import { parseModelConfig } from "./config.ts";
import { languageModel, logitsOf, parametersOf } from "./language-model.ts";
import { architectureNames } from "./registry.ts";

const [batch, context, vocabSize] = [2, 70, 40];
const engine = ortNodeEngine({ threads: 2 });
afterAll(() => engine.close());

/** Text of period seven: easy to learn. */
const sequence = Int32Array.from({ length: batch * (context + 1) }, (_, i) => (i * i) % 7);
const tokens = sequence.slice(0, batch * context);
const targets = sequence.slice(1, batch * context + 1);

describe.each(architectureNames())("%s", (architecture) => {
  it("learns", async () => {
    const config = smallModel(architecture, { context, vocabSize, causal: true });
    const parameters = initialise(parametersOf(config), 1);
    const step = await createTrainStep(engine, (scope, t) => languageModel(scope, t, config), { batch, context });
    const state = initialOptimizerState(parameters);
    const optimizer = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, clip: 1 };
    const losses: number[] = [];
    for (let update = 1; update <= 30; update++) {
      const batches = [{ tokens, targets }];
      const inputs = { parameters, state, batches, learningRate: 5e-3, update, config: optimizer };
      const { loss, applied } = await step.run(inputs);
      expect(applied).toBe(true);
      losses.push(loss);
    }
    expect(losses[0]).toBeGreaterThan(3);
    expect(losses[29]).toBeLessThan(0.7 * losses[0]);
    await step.release();
  });

  it("gives the same on the engine as by its definition, bidirectional", async () => {
    const config = smallModel(architecture, { context, vocabSize, causal: false });
    const model = (scope: Scope, t: ReturnType<typeof input>) => languageModel(scope, t, config);
    const training = trainingProgram(model, { batch, context });
    const parameters = initialise(parametersOf(config), 2);
    const values = Object.fromEntries(Object.entries(parameters).map(([path, { data }]) => [path, data]));
    const compiled = await engine.compile(training.program);
    const actual = await compiled.run({ ...values, tokens, targets });
    const exact = interpret(training.program, { ...values, tokens, targets });
    const norm = globalNorm(
      Object.fromEntries(Object.entries(exact).map(([name, { data }]) => [name, Float32Array.from(data)])),
    );
    for (const [name, { data, shape }] of Object.entries(exact)) {
      // The tolerance of a small gradient allows for float32's rounding of the large ones.
      const own = Math.hypot(...Array.from(data));
      expectClose(actual[name], data, { name, tolerance: Math.max(2e-4, (1e-6 * norm) / own), shape });
    }
    await compiled.release();
  });

  it.each(["causal", "bidirectional"])("gives the same with its layers recomputed, %s", async (direction) => {
    const context = 300; // blocks of queries: 128, 128 and 44
    const small = smallModel(architecture, { context, vocabSize, causal: direction === "causal" });
    const config = architecture === "flash-quad" ? parseModelConfig({ ...small, maxLength: 600 }) : small;
    const parameters = initialise(parametersOf(config), 4);
    const values = Object.fromEntries(Object.entries(parameters).map(([path, { data }]) => [path, data]));
    const text = Int32Array.from({ length: context + 1 }, (_, i) => (i * i) % 37);
    const inputs = { ...values, tokens: text.slice(0, -1), targets: text.slice(1) };
    const run = async (recompute: "none" | "layers") => {
      const model = (scope: Scope, t: ReturnType<typeof input>) => languageModel(scope, t, config, { recompute });
      const compiled = await engine.compile(trainingProgram(model, { batch: 1, context }).program);
      return await compiled.run(inputs);
    };
    const [plain, again] = [await run("none"), await run("layers")];
    expect(Object.keys(again)).toEqual(Object.keys(plain));
    const norm = globalNorm(plain as Record<string, Float32Array>);
    for (const [name, values] of Object.entries(plain)) {
      const own = Math.hypot(...Array.from(values));
      expectClose(again[name], values, {
        name,
        tolerance: Math.max(1e-6, (1e-7 * norm) / own),
        shape: [values.length],
      });
    }
  });

  it("does not depend on padding", () => {
    const config = smallModel(architecture, { context, vocabSize, causal: false });
    const mask = input("mask", [batch, context]);
    const logits = logitsOf(languageModel(new Scope(), input("tokens", [batch, context], "int32"), config, { mask }));
    const graph = program("masked", { logits });
    const parameters = initialise(parametersOf(config), 3);
    const values = Object.fromEntries(Object.entries(parameters).map(([path, { data }]) => [path, data]));
    const real = [context, 37];
    const isReal = Float32Array.from(tokens, (_, at) => (at % context < real[Math.floor(at / context)] ? 1 : 0));
    const other = tokens.map((token, at) => (isReal[at] ? token : vocabSize - 1));
    const [one, two] = [tokens, other].map((t) => interpret(graph, { ...values, tokens: t, mask: isReal }).logits.data);
    const rows = (all: Float64Array) => all.filter((_, at) => isReal[Math.floor(at / vocabSize)] === 1);
    expectClose(rows(two), rows(one), { name: "logits of real tokens", tolerance: 1e-12 });
  });
});

it("parameters do not depend on the length of the input", () => {
  for (const architecture of architectureNames()) {
    const config = smallModel(architecture, { context, vocabSize, causal: true });
    const scope = new Scope();
    languageModel(scope, input("tokens", [1, context], "int32"), config);
    const shapes = (parameters: Scope["parameters"]) => parameters.map(({ path, shape }) => [path, shape]);
    expect(shapes(scope.parameters)).toEqual(shapes(parametersOf(config)));
  }
});
