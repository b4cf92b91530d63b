/**
 * What is special about decoding Transformers: states that grow and states that do not, a running maximum, and what a
 * step costs. See src/generate/decoder.test.ts for the forward pass at every position.
 */
import { afterAll, describe, expect, it } from "vitest";
import { expectClose } from "../../test/support/compare.ts";
import {
  expectCloseRows,
  expected,
  inParts,
  recordingEngine,
  textOf,
  V,
  wildParameters,
} from "../../test/support/decoding.ts";
import { createDecoder } from "../generate/decoder.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { type ModelConfig, parseModelConfig } from "./config.ts";
import { decodingArchitecture } from "./decoding.ts";
import { type ArchitectureName, hasField } from "./registry.ts";

const engine = ortNodeEngine({ threads: 2 });
afterAll(() => engine.close());
const tolerance = 1e-5;
const [C, H, w, m, L] = [4, 2, 8, 12, 2];

function configOf(architecture: ArchitectureName): ModelConfig {
  const optional = Object.entries({ chunk: C, features: m }).filter(([field]) => hasField(architecture, field));
  const base = { architecture, vocabSize: V, width: H * w, layers: L, heads: H, ffn: 24 };
  return parseModelConfig({ ...base, ...Object.fromEntries(optional) });
}

const decoderOf = (config: ModelConfig, parameters: Record<string, Float32Array>) =>
  createDecoder({ engine, architecture: decodingArchitecture(config), parameters });

/** float32 numbers of a state with room for so many rows. */
const rows = (count: number) => L * 2 * H * count * w;
const steps = (count: number) => new Array<number>(count).fill(-1);

/** [architecture, bytes at the start, bytes after 300 tokens] */
const states: [ArchitectureName, number, number][] = [
  ["transformer", 4 * rows(256), 4 * rows(512)],
  ["transformer++", 4 * rows(256), 4 * rows(512)],
  ["combiner", 4 * (rows(C + 64) + L * H * w), 4 * (rows(C + 128) + L * H * w)],
  ["mc-tfm++", 6 * rows(C) + 8 * L * H * w * w, 6 * rows(C) + 8 * L * H * w * w],
  ["performer", L * H * (12 * m * (w + 1) + 8), L * H * (12 * m * (w + 1) + 8)],
];

describe.each(states)("%s, 300 tokens", (architecture, before, after) => {
  const config = configOf(architecture);
  const parameters = wildParameters(config, 2);
  const text = textOf(300);
  const golden = expected(config, parameters, text);

  it("equals the forward pass where arrays grow, and needs the stated memory", async () => {
    const decoder = await decoderOf(config, parameters);
    for (const parts of [
      [100, ...steps(10), 140, ...steps(12), 30, ...steps(8)],
      [249, ...steps(11), 40],
    ]) {
      await decoder.reset();
      expect(decoder.stateBytes).toBe(before);
      expectCloseRows(await inParts(decoder, text, parts), golden, { name: `parts ${parts}`, tolerance });
      expect(decoder.stateBytes).toBe(after);
    }
    await decoder.release();
  });

  it("forks: one grows, the other continues", async () => {
    const decoder = await decoderOf(config, parameters);
    await decoder.absorb(text.subarray(0, 253));
    const fork = await decoder.fork();
    const logits = await decoder.absorb(text.subarray(253), { logits: "all" });
    expectClose(logits, golden.subarray(253 * V), { name: "the first", tolerance });
    for (const at of [253, 254, 255, 256, 257]) {
      const row = golden.subarray(at * V, (at + 1) * V);
      expectClose(await fork.step(text[at]), row, { name: `the fork, position ${at}`, tolerance });
    }
    await decoder.release();
  });
});

it.each(["performer", "mc-tfm++"] as const)(
  "%s, token by token, is as exact after many tokens as at the start",
  async (name) => {
    const config = parseModelConfig({ ...configOf(name), width: 8, heads: 1, layers: 1 });
    const parameters = wildParameters(config, 3);
    const text = textOf(5000);
    const decoder = await decoderOf(config, parameters);
    const logits = await inParts(decoder, text, steps(text.length));
    expectCloseRows(logits, expected(config, parameters, text), { name: "logits", tolerance: 5e-6 });
    await decoder.release();
  },
);

it("performer stays finite where exponents would not", async () => {
  const config = configOf("performer");
  const parameters = wildParameters(config, 3);
  for (const [path, data] of Object.entries(parameters)) {
    if (/\.(query|key)\.weight$/.test(path)) parameters[path] = data.map((value) => 40 * value);
  }
  const decoder = await decoderOf(config, parameters);
  const logits = await inParts(decoder, textOf(150), [3, 20, ...steps(7), 120]);
  expect(logits.every(Number.isFinite)).toBe(true);
  await decoder.release();
});

it("heads of odd width work without RoPE", async () => {
  const config = parseModelConfig({
    architecture: "transformer",
    vocabSize: V,
    width: 6,
    layers: 1,
    heads: 2,
    ffn: 8,
  });
  const parameters = wildParameters(config);
  const text = textOf(9);
  const decoder = await decoderOf(config, parameters);
  const logits = await inParts(decoder, text, [5, -1, 3]);
  expectCloseRows(logits, expected(config, parameters, text), { name: "logits", tolerance });
  await decoder.release();
});

it.each(states.map(([architecture]) => architecture))(
  "a step of %s reads each matrix in its one product",
  async (name) => {
    const { engine: idle, programs } = recordingEngine();
    const config = configOf(name);
    const architecture = decodingArchitecture(config);
    const decoder = await createDecoder({ engine: idle, architecture, parameters: wildParameters(config) });
    await expect(decoder.step(1)).rejects.toThrow("only the program");
    for (const node of programs[0].nodes) {
      if (node.kind !== "operator") continue;
      for (const { node: from, shape } of node.inputs) {
        const large = shape.length === 2 ? /weight$/ : /^state\.\d+\.(keys|values|summaryKeys|summaryValues)$/;
        if (from.kind === "input" && large.test(from.name)) expect(["MatMul", "Gather"]).toContain(node.name);
      }
    }
  },
);
