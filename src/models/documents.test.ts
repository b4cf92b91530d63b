/**
 * Whole models within documents, every architecture and ablation, causal and masked: a document neither sees nor
 * changes another, is what it would be alone, and a window of one document is what it is without borders.
 */
import { afterAll, describe, expect, it } from "vitest";
import { interpret } from "../../test/reference/interpreter.ts";
import { expectClose } from "../../test/support/compare.ts";
import { documentsInWindows } from "../data/document-windows.ts";
import { initialise } from "../nn/scope.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { type TrainingProgram, trainingProgram } from "../train/objective.ts";
import { globalNorm } from "../train/optimizer.ts";
import { type ModelConfig, parseModelConfig } from "./config.ts";
import { modelOf, parametersOf } from "./language-model.ts";
import { presetModel } from "./presets.ts";
import { type ArchitectureName, architectureNames } from "./registry.ts";

const [chunk, vocabSize, endOfText] = [8, 12, 0];
const engine = ortNodeEngine({ threads: 2 });
afterAll(() => engine.close());

const variants: readonly (readonly [name: string, ArchitectureName, fields: object])[] = [
  ...architectureNames().map((name) => [name, name, {}] as const),
  ["flash, local", "flash", { attention: "local" }],
  ["flash, global", "flash", { attention: "global" }],
  ["flash, softmax, token shift", "flash", { attentionFunction: "softmax", tokenShift: true }],
  ["flash, laplace, no gate", "flash", { attentionFunction: "laplace", gate: false }],
  ["mc-tfm++, more chunks than are summed at once", "mc-tfm++", { chunk: 2 }],
  ["flash-quad, rotary bias", "flash-quad", { maxLength: 600 }],
];

/** Output maps that start at zero would hide what the layers compute, a small embedding would magnify rounding. */
function configOf(architecture: ArchitectureName, fields: object, causal: boolean): ModelConfig {
  const preset = presetModel(architecture, "nano", { context: 256 });
  const small = {
    ...{ layers: 2, width: 16, embedding: "scaled", head: "tied", outputMaps: "normal" },
    ...("chunk" in preset ? { chunk } : {}),
    ...("heads" in preset ? { heads: 2, ffn: 16 } : { shared: 8 }),
    ...("features" in preset ? { features: 8 } : {}),
  };
  return parseModelConfig({ ...preset, ...small, ...fields, vocabSize, causal });
}

/** Ordinary tokens, with the end-of-text token at some places. */
function textOf(length: number, starts: readonly number[]): Int32Array {
  return Int32Array.from({ length }, (_, i) => (starts.includes(i) ? endOfText : 1 + ((i * i) % (vocabSize - 1))));
}

/** Something to predict that follows from the token alone. */
const targetsOf = (tokens: Int32Array) => tokens.map((id) => 1 + ((id * 5) % (vocabSize - 1)));

/** Weights of the mean loss over tokens from … to - 1. */
const weightsOf = (length: number, from: number, to: number) =>
  Float32Array.from({ length }, (_, i) => (from <= i && i < to ? 1 / (to - from) : 0));

function trainingOf(config: ModelConfig, context: number, documents: boolean, recompute: "none" | "layers" = "none") {
  return trainingProgram(modelOf(config, { recompute }), { batch: 1, context }, { weighted: true, documents });
}

/** Loss and gradients in float64; `rows.0` are those of each token's embedding. */
function run({ program }: TrainingProgram, config: ModelConfig, tokens: Int32Array, weights: Float32Array) {
  const context = tokens.length;
  const parameters = Object.entries(initialise(parametersOf(config), 3)).map(([path, { data }]) => [path, data]);
  const targets = targetsOf(tokens);
  const documents = documentsInWindows({ tokens, context, endOfText });
  const inputs = { ...Object.fromEntries(parameters), tokens, targets, weights };
  return interpret(program, program.inputs.has("documents") ? { ...inputs, documents } : inputs);
}

type Results = ReturnType<typeof run>;

function expectSame(actual: Results, expected: Results, tolerance: number) {
  expect(Object.keys(actual)).toEqual(Object.keys(expected));
  const norms = Object.values(expected).map(({ data }) => Math.hypot(...data));
  const largest = Math.max(...norms);
  for (const [name, { data, shape }] of Object.entries(expected)) {
    // A gradient that should be zero is compared with the largest one.
    const own = Math.max(Math.hypot(...data), 1e-9 * largest);
    const difference = Math.hypot(...data.map((value, i) => actual[name].data[i] - value));
    expect(difference / own, `${name} ${shape}`).toBeLessThan(tolerance);
  }
}

/** Borders inside chunks, at borders of chunks and at the last token; several documents in a chunk, one over many. */
const starts = [3, 5, 8, 9, 32, 36, 37, 44];
const T = 45;

describe.each(variants)("%s", (_, architecture, fields) => {
  describe.each([true, false])("causal %s", (causal) => {
    const config = configOf(architecture, fields, causal);

    it("keeps documents apart, in values and in gradients", () => {
      const training = trainingOf(config, T, true);
      const tokens = textOf(T, starts);
      for (const [from, to] of [
        [3, 5],
        [9, 32],
        [37, 44],
        [44, 45],
      ]) {
        const weights = weightsOf(T, from, to);
        const isOwn = (i: number) => from <= i && i < to;
        const other = tokens.map((id, i) => (isOwn(i) || id === endOfText ? id : 1 + (id % (vocabSize - 1))));
        const [one, two] = [tokens, other].map((given) => run(training, config, given, weights));
        expectSame(two, one, 1e-11);
        const perToken = one["rows.0"].data;
        const width = perToken.length / T;
        expect(perToken.every((value, i) => isOwn(Math.floor(i / width)) || value === 0)).toBe(true);
        expect(perToken.some((value) => value !== 0)).toBe(true);
      }
    });

    it("computes a document as if it were alone", () => {
      // Of chunked models one that begins with a chunk; of the others any.
      const places = "chunk" in config && architecture !== "flash-quad" ? [16] : [16, 11];
      for (const from of places) {
        const to = from + 19;
        const tokens = textOf(T, [5, from, to, to + 3]);
        const whole = run(trainingOf(config, T, true), config, tokens, weightsOf(T, from, to));
        const own = tokens.slice(from, to);
        const alone = run(trainingOf(config, to - from, false), config, own, weightsOf(to - from, 0, to - from));
        expect(whole.loss.data[0]).not.toBe(0);
        const width = alone["rows.0"].data.length / own.length;
        const rows = whole["rows.0"].data.slice(from * width, to * width);
        expectSame({ ...whole, "rows.0": { shape: alone["rows.0"].shape, data: rows } }, alone, 1e-5);
      }
    });

    it("computes a window of one document as without borders", () => {
      const tokens = textOf(T, [0]);
      const weights = weightsOf(T, 0, T);
      const [separate, joined] = [true, false].map((apart) =>
        run(trainingOf(config, T, apart), config, tokens, weights),
      );
      expectSame(separate, joined, 1e-5);
    });

    it("gives the same on the engine as by its definition, and with its layers recomputed", async () => {
      const context = 150; // blocks of queries: 128 and 22
      const tokens = textOf(context, [20, 24, 27, 100, 149]);
      const targets = targetsOf(tokens);
      const weights = weightsOf(context, 0, context);
      const documents = documentsInWindows({ tokens, context, endOfText });
      const values = Object.entries(initialise(parametersOf(config), 3)).map(([path, { data }]) => [path, data]);
      const inputs = { ...Object.fromEntries(values), tokens, targets, weights, documents };
      const exact = run(trainingOf(config, context, true), config, tokens, weights);
      const norm = globalNorm(
        Object.fromEntries(Object.entries(exact).map(([name, { data }]) => [name, Float32Array.from(data)])),
      );
      for (const recompute of ["none", "layers"] as const) {
        const compiled = await engine.compile(trainingOf(config, context, true, recompute).program);
        const actual = await compiled.run(inputs);
        for (const [name, { data, shape }] of Object.entries(exact)) {
          // The tolerance of a small gradient allows for float32's rounding of the large ones.
          const tolerance = Math.max(2e-4, (1e-6 * norm) / Math.hypot(...data));
          expectClose(actual[name], data, { name: `${name} ${recompute}`, tolerance, shape });
        }
        await compiled.release();
      }
    });
  });
});
