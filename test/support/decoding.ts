/**
 * What the tests of decoding share: parameters that make every path count, a text, the training-time forward pass over the
 * whole of it by the float64 interpreter, and a decoder that reads it in parts.
 */
import { expect } from "vitest";
import { randomKey, randomNormals, randomUniform } from "../../src/base/random.ts";
import type { Decoder } from "../../src/generate/decoder.ts";
import { type Program, program } from "../../src/graph/program.ts";
import { input } from "../../src/graph/tensor.ts";
import { type ModelConfig, parseModelConfig } from "../../src/models/config.ts";
import { languageModel, logitsOf, parametersOf } from "../../src/models/language-model.ts";
import { type ArchitectureName, architectureNames, hasField } from "../../src/models/registry.ts";
import { Scope } from "../../src/nn/scope.ts";
import type { Engine } from "../../src/runtime/engine.ts";
import { interpret } from "../reference/interpreter.ts";
import { expectClose } from "./compare.ts";

/** An engine that runs nothing: it keeps the programs it is given, and refuses them. */
export function recordingEngine(): { readonly engine: Engine; readonly programs: readonly Program[] } {
  const programs: Program[] = [];
  const refuse = () => Promise.reject(new Error("only the program is wanted"));
  const compile = (program: Program) => {
    programs.push(program);
    return refuse();
  };
  const traffic = { sent: 0, received: 0 };
  const close = async () => {};
  const engine: Engine = {
    device: "cpu",
    threads: 1,
    separateMemory: false,
    traffic,
    compile,
    compileResident: compile,
    upload: refuse,
    close,
  };
  return { engine, programs };
}

/** The vocabulary of all models here, and the tokens of their chunks. */
export const V = 23;
export const C = 8;

/** A small model of any architecture, of two layers. */
export function smallConfig(architecture: ArchitectureName, fields: object = {}): ModelConfig {
  const sizes = { vocabSize: V, width: 16, layers: 2 };
  const own = { shared: 6, chunk: C, maxLength: 8 * C, heads: 2, ffn: 24, features: 12 };
  const existing = Object.entries(own).filter(([field]) => hasField(architecture, field));
  return parseModelConfig({ architecture, ...sizes, ...Object.fromEntries(existing), ...fields });
}

/** One of each architecture. */
export const smallConfigs: Readonly<Record<string, ModelConfig>> = Object.fromEntries(
  architectureNames().map((name) => [name, smallConfig(name)]),
);

/** Parameters far from their quiet start: offsets, biases and gains vary, so that every path contributes. */
export function wildParameters(config: ModelConfig, seed = 1): Record<string, Float32Array> {
  const values = parametersOf(config).map(({ path, shape, initial }) => {
    const size = shape.reduce((product, n) => product * n, 1);
    const spread = "normal" in initial ? Math.max(initial.normal, 0.3) : 0.4;
    const centre = "normal" in initial ? 0 : initial.constant;
    const data = randomNormals(randomKey(seed, path), size, spread).map((x) => x + centre);
    return [path, data] as const;
  });
  return Object.fromEntries(values);
}

export function textOf(length: number, seed = 1): Int32Array {
  const key = randomKey(seed, "text");
  return Int32Array.from({ length }, (_, i) => Math.floor(randomUniform(key, i) * V));
}

export function forwardProgram(config: ModelConfig, length: number): Program {
  const tokens = input("tokens", [1, length], "int32");
  return program("forward", { logits: logitsOf(languageModel(new Scope(), tokens, config)) });
}

/** Logits [T, V] of the training-time forward pass in float64. */
export function expected(
  config: ModelConfig,
  parameters: Record<string, Float32Array>,
  text: Int32Array,
): Float64Array {
  return interpret(forwardProgram(config, text.length), { ...parameters, tokens: text }).logits.data;
}

/** Logits [T, V] by reading the text in parts of the given sizes; a part of -1 is one step. */
export async function inParts(decoder: Decoder, text: Int32Array, parts: readonly number[]): Promise<Float32Array> {
  const all = new Float32Array(text.length * V);
  let at = 0;
  for (const part of parts) {
    const logits =
      part === -1
        ? await decoder.step(text[at])
        : await decoder.absorb(text.subarray(at, at + part), { logits: "all" });
    all.set(logits, at * V);
    at += Math.abs(part);
  }
  expect(at).toBe(text.length);
  expect(decoder.position).toBe(text.length);
  return all;
}

/** Demands logits [tokens, V] within the tolerance at every position by itself. */
export function expectCloseRows(
  actual: ArrayLike<number>,
  golden: Float64Array,
  { name, tolerance }: { name: string; tolerance: number },
): void {
  expectClose(actual, golden, { name, tolerance, shape: [golden.length / V, V] });
  const rows = Float64Array.from(actual);
  for (let at = 0; at < golden.length; at += V) {
    expectClose(rows.subarray(at, at + V), golden.subarray(at, at + V), {
      name: `${name}, position ${at / V}`,
      tolerance,
    });
  }
}
