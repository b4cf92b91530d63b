/**
 * A text read window by window, each going on from the one before, is the text read in one window: losses of tokens and
 * the state, which is a decoder's too; and training goes no further back than the window.
 */
import { afterAll, describe, expect, it } from "vitest";
import { interpret } from "../../test/reference/interpreter.ts";
import { expectClose } from "../../test/support/compare.ts";
import { sizeOf } from "../base/shape.ts";
import { documentsInWindows } from "../data/document-windows.ts";
import { DecodingPrograms } from "../generate/programs.ts";
import { TokenReader } from "../generate/reader.ts";
import { newKey } from "../nn/decoding.ts";
import { type CarriedState, carriedShape, startNames } from "../nn/past.ts";
import { angles } from "../nn/positions.ts";
import { initialise } from "../nn/scope.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { readBy } from "../train/carried.ts";
import { evaluationProgram, trainingProgram } from "../train/objective.ts";
import { carriedState, carryProblem } from "./carry.ts";
import { type ModelConfig, parseModelConfig } from "./config.ts";
import { decodingArchitecture } from "./decoding.ts";
import { modelOf, parametersOf } from "./language-model.ts";
import { presetModel } from "./presets.ts";
import { architectureNames } from "./registry.ts";

const [chunk, context, vocabSize, endOfText] = [4, 8, 12, 0];
const engine = ortNodeEngine({ threads: 1 });
afterAll(() => engine.close());

const variants: readonly (readonly [name: string, architecture: string, fields: object])[] = [
  ["flash", "flash", {}],
  ["flash, the paper's sum, absolute positions", "flash", { memory: "sum", absolute: true }],
  ["flash, mean", "flash", { memory: "mean" }],
  ["flash, learned decays", "flash", { memory: "learned" }],
  ["flash, gated, token shift", "flash", { memory: "gated", tokenShift: true }],
  ["flash, half of the features rotated, LayerNorm at the end", "flash", { rotaryWidth: 4, finalNorm: "layer" }],
  ["flash, local", "flash", { attention: "local" }],
  ["flash, global, token shift", "flash", { attention: "global", tokenShift: true }],
  ["flash, softmax, no gate", "flash", { attentionFunction: "softmax", gate: false }],
  ["mc-tfm++", "mc-tfm++", {}],
  ["mc-tfm++, the paper's sum", "mc-tfm++", { memory: "sum" }],
];

/** Output maps that start at zero would hide what the layers compute, a small embedding would magnify rounding. */
function configOf(architecture: string, fields: object = {}): ModelConfig {
  const preset = presetModel(architecture, "nano", { context: 64 });
  const small = {
    ...{ layers: 2, width: 16, embedding: "scaled", head: "tied", outputMaps: "normal" },
    ...("chunk" in preset ? { chunk } : {}),
    ...("heads" in preset ? { heads: 2, ffn: 16 } : { shared: 8 }),
  };
  return parseModelConfig({ ...preset, ...small, ...fields, vocabSize });
}

const textOf = (length: number, seed: number) =>
  Int32Array.from({ length }, (_, i) => (i * i + seed * (i % 5)) % vocabSize);
const targetsOf = (tokens: Int32Array) => tokens.map((id) => (id * 5 + 1) % vocabSize);
const valuesOf = (config: ModelConfig) =>
  Object.fromEntries(Object.entries(initialise(parametersOf(config), 3)).map(([path, { data }]) => [path, data]));

/** What a window is given that starts at these positions, without a state before. */
function startAt({ rotaryPairs, width }: CarriedState, positions: readonly number[]): Record<string, Float32Array> {
  const tables = [rotaryPairs, width / 2].map((half) => positions.map((position) => angles(position, 1, half)));
  return Object.fromEntries(
    startNames.flatMap((name, i) =>
      (["cos", "sin"] as const).map((part) => [
        `${name}.${part}`,
        Float32Array.from(tables[i].flatMap((row) => [...row[part]])),
      ]),
    ),
  );
}

const nothingBefore = ({ entries }: CarriedState, B: number): Record<string, ArrayLike<number>> =>
  Object.fromEntries(
    [...entries].map(([key, entry]) => [key, new Float64Array(sizeOf(carriedShape(entry, B))).fill(entry.initial)]),
  );

describe.each(variants)("%s", (_, architecture, fields) => {
  const config = configOf(architecture, fields);
  const carried = carriedState(config) as CarriedState;
  const parameters = valuesOf(config);
  const rows = [1, 2].map((seed) => textOf(5 * context, seed));

  /** Reads both rows in windows of so many tokens, in float64: the losses of all tokens of each row, and the state at the end. */
  function read(rows: readonly Int32Array[], context: number, documents = false) {
    const { program } = evaluationProgram(modelOf(config), { batch: rows.length, context }, { carried, documents });
    const losses: number[][] = rows.map(() => []);
    let state = nothingBefore(carried, rows.length);
    const positions = rows.map(() => 0);
    for (let at = 0; at < rows[0].length; at += context) {
      const tokens = Int32Array.from(rows.flatMap((row) => [...row.subarray(at, at + context)]));
      const weights = new Float32Array(tokens.length).fill(1);
      for (const row of rows.keys()) {
        if (documents && tokens[row * context] === endOfText) forget(state, row, positions);
      }
      const separate = documents && { documents: documentsInWindows({ tokens, context, endOfText }) };
      const given = {
        tokens,
        targets: targetsOf(tokens),
        weights,
        ...state,
        ...startAt(carried, positions),
        ...separate,
      };
      const results = interpret(program, { ...parameters, ...readBy(program.inputs, given) });
      for (const [row, all] of losses.entries()) {
        const own = tokens.subarray(row * context, (row + 1) * context);
        all.push(...results.losses.data.slice(row * context, (row + 1) * context));
        const begun = documents ? own.lastIndexOf(endOfText) : -1;
        positions[row] = begun < 0 ? positions[row] + context : context - begun;
      }
      state = Object.fromEntries([...carried.entries.keys()].map((key) => [key, results[newKey(key)].data]));
    }
    return { losses, state };
  }

  /** A row whose window begins with a document. */
  function forget(state: Record<string, ArrayLike<number>>, row: number, positions: number[]): void {
    positions[row] = 0;
    for (const [key, all] of Object.entries(nothingBefore(carried, 1))) {
      state[key] = Float64Array.from(state[key]);
      (state[key] as Float64Array).set(Array.from(all), row * all.length);
    }
  }

  const { losses, state } = read(rows, context);

  it("reads windows as one window", () => {
    const [row] = rows;
    const { program } = evaluationProgram(modelOf(config), { batch: 1, context: row.length });
    const given = { tokens: row, targets: targetsOf(row), weights: new Float32Array(row.length).fill(1) };
    const whole = interpret(program, { ...parameters, ...given }).losses.data;
    expectClose(losses[0], whole, { name: "losses", tolerance: 2e-7 }); // angles are float32
  });

  it("reads documents that are kept apart as in one window", () => {
    // They begin inside chunks and at their borders, and one is longer than a window.
    const starts = [
      [3, 9, 11, 16, 30],
      [0, 5, 24],
    ];
    const texts = rows.map((row, k) => row.map((id, i) => (starts[k].includes(i) ? endOfText : Math.max(1, id))));
    const [windows, whole] = [context, texts[0].length].map((tokens) => read(texts, tokens, true));
    for (const [row, own] of windows.losses.entries()) {
      expectClose(own, whole.losses[row], { name: `losses of row ${row}`, tolerance: 2e-7 });
    }
    for (const [key, own] of Object.entries(windows.state)) {
      if (key.endsWith("compensation")) expect(Math.max(...Array.from(own, Math.abs))).toBeLessThan(1e-12);
      else expectClose(own, whole.state[key], { name: key, tolerance: 2e-6 });
    }
  });

  it("hands on a decoder's state", async () => {
    const programs = new DecodingPrograms({ engine, architecture: decodingArchitecture(config), parameters });
    for (const [row, text] of rows.entries()) {
      const reader = new TokenReader(decodingArchitecture(config), programs, 1);
      for (const token of text) await reader.read({ tokens: [Int32Array.of(token)], readout: "last" });
      for (const [key, all] of Object.entries(state)) {
        const own = reader.state.arrays[key];
        const expected = Array.from(all).slice(row * own.length, (row + 1) * own.length);
        // What summing has rounded away is another amount in float64.
        if (key.endsWith("compensation")) expect(Math.max(...own.map(Math.abs))).toBeLessThan(1e-5);
        else expectClose(own, expected, { name: key, tolerance: 1e-5 });
      }
    }
    await programs.release();
  });
});

describe("training", () => {
  const config = configOf("flash");
  const carried = carriedState(config) as CarriedState;
  const shape = { batch: 1, context };
  const tokens = textOf(context, 3);
  const before = Object.fromEntries(
    Object.entries(nothingBefore(carried, 1)).map(([key, data]) => [
      key,
      Float64Array.from(data, (_, i) => 1 + Math.sin(i)),
    ]),
  );
  const past = { ...before, ...startAt(carried, [64]) };
  const { inputs } = trainingProgram(modelOf(config), shape, { carried }).program;
  const given = { tokens, targets: targetsOf(tokens), ...readBy(inputs, past) };

  it("has the gradients of finite differences, with the state held fixed", () => {
    const { program } = trainingProgram(modelOf(config), shape, { carried });
    const parameters = valuesOf(config);
    const results = interpret(program, { ...parameters, ...given });
    for (const path of ["layers.0.heads.gamma", "layers.1.hidden.weight", "final.norm.gain"]) {
      const gradient = results[`gradient.${path}`].data;
      for (const at of [0, gradient.length - 1]) {
        const [up, down] = [1e-4, -1e-4].map((change) => {
          const moved = Float64Array.from(parameters[path]);
          moved[at] += change;
          return interpret(program, { ...parameters, [path]: moved, ...given }).loss.data[0];
        });
        expect(gradient[at]).toBeCloseTo((up - down) / 2e-4, 7);
      }
    }
  });

  it("is the same with its layers recomputed, state included", () => {
    const values = valuesOf(config);
    const [plain, again] = (["none", "layers"] as const).map((recompute) => {
      const { program } = trainingProgram(modelOf(config, { recompute }), shape, { carried });
      return interpret(program, { ...values, ...given });
    });
    expect(Object.keys(again).sort()).toEqual(Object.keys(plain).sort());
    for (const [name, { data }] of Object.entries(plain)) {
      expectClose(again[name].data, data, { name, tolerance: 1e-12 });
    }
  });

  it("asks for no gradient of what came before", () => {
    const { program } = trainingProgram(modelOf(config), shape, { carried });
    expect([...program.outputs.keys()].filter((name) => name.startsWith("gradient.state"))).toEqual([]);
    expect([...program.outputs.keys()].filter((name) => name.startsWith("new."))).toHaveLength(carried.entries.size);
  });
});

describe("which models can", () => {
  it.each(architectureNames())("%s says so or why not", (architecture) => {
    const can = ["flash", "mc-tfm++"].includes(architecture);
    const reason = `${architecture} cannot go on from window to window of a text; flash and mc-tfm++ can`;
    expect(carryProblem(configOf(architecture))).toBe(can ? undefined : reason);
  });

  it("and no bidirectional one", () => {
    const reason = "a bidirectional model reads every window by itself";
    expect(carryProblem(configOf("flash", { causal: false }))).toBe(reason);
  });
});
