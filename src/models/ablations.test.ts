/**
 * The named ablations: what each changes, what it costs, that it learns on the engine, and what does not go together.
 */
import { afterAll, describe, expect, it } from "vitest";
import { interpret } from "../../test/reference/interpreter.ts";
import { expectClose } from "../../test/support/compare.ts";
import { LonghandError } from "../base/errors.ts";
import { sizeOf } from "../base/shape.ts";
import { program } from "../graph/program.ts";
import { input } from "../graph/tensor.ts";
import { initialise, Scope } from "../nn/scope.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { trainingProgram } from "../train/objective.ts";
import { type AblationName, ablationFields, ablationNames } from "./ablations.ts";
import { forwardFlops, matmulFlops } from "./catalogue.ts";
import { parseModelConfig } from "./config.ts";
import { languageModel, logitsOf, parameterCount, parametersOf } from "./language-model.ts";
import { presetModel, presetNames } from "./presets.ts";
import { architectureByName } from "./registry.ts";

const engine = ortNodeEngine({ threads: 2 });
afterAll(() => engine.close());

const vocabSize = 8192;
const modelOf = (ablation: string | undefined, preset: string, context: number, architecture = "flash" as const) =>
  parseModelConfig({ ...presetModel(architecture, preset, { context, ablation }), vocabSize });

describe.each(presetNames)("preset %s", (preset) => {
  const plain = parameterCount(modelOf(undefined, preset, 4096));

  it.each(ablationNames)("%s has as many parameters within 3 %", (name) => {
    expect(Math.abs(parameterCount(modelOf(name, preset, 4096)) / plain - 1)).toBeLessThan(0.03);
  });

  it("no gate gives up biases alone", () => {
    const matrices = (ablation?: AblationName) =>
      parametersOf(modelOf(ablation, preset, 4096))
        .filter(({ path }) => path.endsWith(".weight"))
        .reduce((sum, { shape }) => sum + sizeOf(shape), 0);
    expect(matrices("no-gate")).toBe(matrices());
    expect(matrices("softmax-no-gate")).toBe(matrices());
  });
});

describe("cost", () => {
  // The second is not counted but follows from shorter ones.
  it.each(ablationNames)("of %s, of all layers of the graph, in contexts of 2048 and 8192", (name) => {
    for (const context of [2048, 8192]) {
      const config = { ...modelOf(name, "nano", context), vocabSize: 100 };
      const whole = logitsOf(languageModel(new Scope(), input("tokens", [1, context], "int32"), config));
      const counted = matmulFlops(program("whole", { logits: whole }));
      expect(forwardFlops(config, context) / counted).toBeCloseTo(1, 12);
    }
  });
});

describe.each(["flash", "flash-quad"] as const)("%s on the engine is its definition:", (architecture) => {
  const [batch, context] = [2, 21];
  const tokens = Int32Array.from({ length: batch * context }, (_, i) => (i * i) % 7);
  const targets = tokens.map((token) => (token + 3) % 7);
  const names = ablationNames.filter(
    (name) =>
      !name.startsWith("chunk-") && (architecture === "flash" || name in architectureByName(architecture).ablations),
  );

  it.each(names)("%s", async (name) => {
    const fields = presetModel(architecture, "nano", { context, ablation: name });
    const config = parseModelConfig({ ...fields, width: 16, layers: 2, shared: 8, chunk: 8, vocabSize: 23 });
    const training = trainingProgram((scope, t) => languageModel(scope, t, config), { batch, context });
    const parameters = Object.entries(initialise(parametersOf(config), 2)).map(([path, { data }]) => [path, data]);
    const values = { ...Object.fromEntries(parameters), tokens, targets };
    const compiled = await engine.compile(training.program);
    const actual = await compiled.run(values);
    const exact = Object.entries(interpret(training.program, values));
    const largest = Math.max(...exact.map(([, { data }]) => Math.hypot(...data)));
    for (const [output, { data, shape }] of exact) {
      // The tolerance of a small gradient allows for float32's rounding of the large ones.
      const tolerance = Math.max(2e-4, (1e-6 * largest) / Math.hypot(...data));
      expectClose(actual[output], data, { name: output, tolerance, shape });
    }
    await compiled.release();
  });
});

describe("ablations together", () => {
  it("set all of their fields", () => {
    expect(ablationFields("flash", "local, softmax-no-gate,layer-norm,chunk-64,softmax")).toEqual({
      ...{ attention: "local", attentionFunction: "softmax", gate: false, expansion: 3, norm: "layer", chunk: 64 },
    });
    expect(ablationFields("combiner", "chunk-256")).toEqual({ chunk: 256 });
    expect(presetModel("mc-tfm++", "nano", { context: 512, ablation: "chunk-256" })).toMatchObject({ chunk: 256 });
  });

  it.each([
    ["flash", { ablation: "sofmax" }, /^ablation sofmax: expected one of local, .* \(did you mean softmax\?\)$/],
    ["flash", { ablation: "softmax,,local" }, /^ablation : expected one of local, /],
    ["flash", { ablation: "toString" }, /^ablation toString: expected one of local, /],
    ["flash", { ablation: "local,global" }, /^ablation local,global: both set attention; choose one of them$/],
    ["flash", { ablation: "softmax,no-gate,laplace" }, /^ablation softmax,laplace: both set attentionFunction; /],
    ["flash", { ablation: "chunk-64,chunk-128" }, /^ablation chunk-64,chunk-128: both set chunk; /],
    ["flash", { ablation: "local", attention: "global" }, /^ablation local: it contradicts attention global; /],
    ["flash", { ablation: "chunk-64", chunk: 32 }, /^ablation chunk-64: it contradicts chunk 32; give one of them$/],
    ["flash-quad", { ablation: "local" }, /^ablation local: expected one of softmax, .* for flash-quad$/],
    ["flash-quad", { ablation: "chunk-64" }, /^ablation chunk-64: expected one of softmax, .* for flash-quad$/],
    ["transformer++", { ablation: "softmax" }, /^ablation softmax: transformer\+\+ has no ablations$/],
    ["combiner", { ablation: "chunk-64,no-gate" }, /^ablation no-gate: expected one of chunk-64, .* for combiner$/],
  ] as const)("%s refuses %o", (architecture, options, message) => {
    const ask = () => presetModel(architecture, "nano", { context: 512, ...options });
    expect(ask).toThrow(LonghandError);
    expect(ask).toThrow(message);
  });

  it("refuse softmax where there is nothing quadratic", () => {
    const message = 'model.attentionFunction "softmax": expected relu2 with attention global';
    expect(() => modelOf("global,softmax", "nano", 512)).toThrow(message);
  });

  it("may be given twice in other words", () => {
    const asked = presetModel("flash", "nano", {
      context: 512,
      ablation: "local,chunk-64",
      attention: "local",
      chunk: 64,
    });
    expect(asked).toMatchObject({ attention: "local", chunk: 64 });
  });
});
