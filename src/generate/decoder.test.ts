/**
 * The decoder against the training-time forward pass of the same model: the whole text in one graph, by the float64
 * interpreter (the definition of every operator) or, where that is too slow, by the engine.
 */
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { compare, expectClose } from "../../test/support/compare.ts";
import {
  expectCloseRows,
  expected,
  forwardProgram,
  inParts,
  textOf,
  V,
  wildParameters,
} from "../../test/support/decoding.ts";
import { type ModelConfig, parseModelConfig } from "../models/config.ts";
import { decodingArchitecture } from "../models/decoding.ts";
import { type ArchitectureName, architectureNames, hasField } from "../models/registry.ts";
import { memoryNames } from "../nn/distant-memory.ts";
import type { Engine } from "../runtime/engine.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { createDecoder } from "./decoder.ts";

const engine = ortNodeEngine({ threads: 2 });
afterAll(() => engine.close());
const tolerance = 1e-5;
const C = 8;

function configOf(fields: Partial<ModelConfig>): ModelConfig {
  const base = { architecture: "flash", vocabSize: V, width: 16, layers: 2, shared: 6, chunk: C, maxLength: 8 * C };
  return parseModelConfig({ ...base, ...fields });
}

/** Without the embedding of absolute positions, as presets have it. */
const bounded = (memory: string) => ({ memory, halfLives: [2, 60], absolute: false });

/** A Transformer of two heads; blocks and chunks of C. */
function transformerOf(architecture: ArchitectureName): ModelConfig {
  const base = { architecture, vocabSize: V, width: 16, layers: 2, heads: 2, ffn: 24 };
  const own = { chunk: C, features: 12 };
  return parseModelConfig({
    ...base,
    ...Object.fromEntries(Object.entries(own).filter(([field]) => hasField(architecture, field))),
  });
}

const decoderOf = (config: ModelConfig, parameters: Record<string, Float32Array>) =>
  createDecoder({ engine, architecture: decodingArchitecture(config), parameters });

const configs = {
  flash: configOf({}),
  "flash with LayerNorm, one layer": configOf({ layers: 1, norm: "layer", expansion: 3 }),
  ...Object.fromEntries(memoryNames.slice(1).map((memory) => [`flash, ${memory}`, configOf(bounded(memory))])),
  "mc-tfm++, learned": parseModelConfig({ ...transformerOf("mc-tfm++"), memory: "learned", absolute: false }),
  "flash-quad": configOf({ architecture: "flash-quad" }),
  ...Object.fromEntries(
    architectureNames()
      .filter((name) => hasField(name, "heads"))
      .map((name) => [name, transformerOf(name)]),
  ),
};

describe.each(Object.entries(configs))("logits of %s equal the forward pass", (_, config) => {
  const parameters = wildParameters(config);
  const lengths = [1, 2, C - 1, C, C + 1, 2 * C, 3 * C + 5, 5 * C + 1];
  const text = textOf(Math.max(...lengths));
  const golden = expected(config, parameters, text);
  const check = (logits: Float32Array, name: string) =>
    expectCloseRows(logits, golden.subarray(0, logits.length), { name, tolerance });

  it.each(lengths)("%d tokens, one by one and at once, at every position", async (length) => {
    const decoder = await decoderOf(config, parameters);
    const own = text.subarray(0, length);
    check(await inParts(decoder, own, new Array<number>(length).fill(-1)), "by steps");
    await decoder.reset();
    check(await inParts(decoder, own, [length]), "at once");
    await decoder.reset();
    const last = await decoder.absorb(own);
    expectClose(last, golden.subarray((length - 1) * V, length * V), { name: "the last", tolerance });
    await decoder.release();
  });

  it("in parts of any size", async () => {
    const decoder = await decoderOf(config, parameters);
    const part = fc.oneof(fc.constant(-1), fc.integer({ min: 1, max: 2 * C + 3 }));
    await fc.assert(
      fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 6 }), async (parts) => {
        await decoder.reset();
        const fitting: number[] = [];
        let total = 0;
        for (const size of parts) {
          if (total + Math.abs(size) > text.length) break;
          total += Math.abs(size);
          fitting.push(size);
        }
        check(await inParts(decoder, text.subarray(0, total), fitting), `parts ${fitting}`);
      }),
      { numRuns: 40 },
    );
    await decoder.release();
  });

  it("gives the losses of given targets", async () => {
    const decoder = await decoderOf(config, parameters);
    const losses = [
      ...(await decoder.losses(text.subarray(0, 3), text.subarray(1, 4))),
      ...(await decoder.losses(text.subarray(3, -1), text.subarray(4))),
    ];
    const direct = losses.map((_, t) => {
      const row = golden.subarray(t * V, (t + 1) * V);
      return Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0)) - row[text[t + 1]];
    });
    expectClose(losses, direct, { name: "losses", tolerance });
    await decoder.release();
  });
});

describe("far from the start", () => {
  const memories = [["sum", {}], ...memoryNames.slice(1).map((memory) => [memory, bounded(memory)] as const)] as const;

  it.each(memories)("equals the forward pass at 20 times the length, and needs its memory (%s)", async (_, fields) => {
    const config = configOf(fields);
    const parameters = wildParameters(config, 2);
    const text = textOf(20 * (3 * C + 5) + 3);
    const golden = expected(config, parameters, text);
    const decoder = await decoderOf(config, parameters);
    const before = decoder.stateBytes;
    const parts = [5, 100, ...new Array<number>(13).fill(-1), text.length - 118];
    const logits = await inParts(decoder, text, parts);
    expectClose(logits, golden, { name: "logits", tolerance, shape: [text.length, V] });
    expect(decoder.stateBytes).toBe(before);

    // The last chunk read alone is another function: the distant part matters in this test.
    await decoder.reset();
    const alone = await decoder.absorb(text.subarray(text.length - (text.length % C || C)));
    expect(compare(alone, golden.subarray(-V)).relative).toBeGreaterThan(0.05);
    await decoder.release();
  });

  it.each(["sum", "decay"])("equals the forward pass at position 100,000 (%s)", async (memory) => {
    const config = configOf({ layers: 1, width: 8, shared: 4, memory });
    const parameters = wildParameters(config, 3);
    const text = textOf(100_000 + 2 * C + 3);
    const forward = await engine.compile(forwardProgram(config, text.length));
    const logits = (await forward.run({ ...parameters, tokens: text })).logits as Float32Array;
    const decoder = await decoderOf(config, parameters);
    await decoder.absorb(text.subarray(0, 100_000));
    const end = text.subarray(100_000);
    for (const [i, token] of end.entries()) {
      const at = 100_000 + i;
      expectClose(await decoder.step(token), logits.subarray(at * V, (at + 1) * V), {
        name: `position ${at}`,
        tolerance,
      });
    }
    await forward.release();
    await decoder.release();
  });

  it("has the rotary bias of chunks from 512 on, over a chunk border", async () => {
    const config = configOf({ chunk: 512, layers: 1, width: 8, shared: 4 });
    const parameters = wildParameters(config, 4);
    const text = textOf(517);
    const golden = expected(config, parameters, text);
    const decoder = await decoderOf(config, parameters);
    const parts = [300, -1, -1, 208, -1, -1, -1, 4];
    expectClose(await inParts(decoder, text, parts), golden, { name: "logits", tolerance, shape: [text.length, V] });
    await decoder.release();
  });
});

describe("a decoder", () => {
  const config = configOf({});
  const parameters = wildParameters(config);

  it("forks: both continue independently from the same state", async () => {
    const decoder = await decoderOf(config, parameters);
    const text = textOf(3 * C);
    await decoder.absorb(text.subarray(0, C + 3));
    const fork = await decoder.fork();
    const [one, two] = [textOf(C, 5), textOf(C, 6)];
    const [a, b] = await Promise.all([decoder.absorb(one), fork.absorb(two)]);
    const whole = (end: Int32Array) => expected(config, parameters, Int32Array.of(...text.subarray(0, C + 3), ...end));
    expectClose(a, whole(one).subarray(-V), { name: "the first", tolerance });
    expectClose(b, whole(two).subarray(-V), { name: "the fork", tolerance });
    await decoder.release();
    await expect(fork.step(1)).rejects.toMatchObject({ code: "engine", message: "decoder: used after release" });
  });

  it("reads changed parameters at reset", async () => {
    const own = Object.fromEntries(Object.entries(parameters).map(([path, data]) => [path, data.slice()]));
    const decoder = await decoderOf(config, own);
    const text = textOf(C + 3);
    await decoder.absorb(text);
    for (const [path, data] of Object.entries(wildParameters(config, 9))) own[path].set(data);
    await decoder.reset();
    const logits = await decoder.absorb(text);
    expectClose(logits, expected(config, own, text).subarray(-V), { name: "logits", tolerance });
    await decoder.release();
  });

  it("refuses tokens that do not exist, and stays unchanged", async () => {
    const decoder = await decoderOf(config, parameters);
    for (const bad of [V, -1, 0.5, Number.NaN]) {
      const message = `token: expected a token from 0 to ${V - 1}, got ${bad}`;
      await expect(decoder.step(bad)).rejects.toMatchObject({ code: "usage", message });
    }
    await expect(decoder.absorb([1, 99])).rejects.toThrow(`tokens[1]: expected a token from 0 to ${V - 1}, got 99`);
    await expect(decoder.absorb([])).rejects.toThrow("expected at least one token");
    await expect(decoder.losses([1, 2], [1])).rejects.toThrow("targets: expected 2, one for each token, got 1");
    expect(decoder.position).toBe(0);
    await decoder.release();
  });

  it("of flash-quad refuses a text longer than its maxLength", async () => {
    const quad = configOf({ architecture: "flash-quad", maxLength: 12 });
    const decoder = await decoderOf(quad, wildParameters(quad));
    expect(decoder.maxLength).toBe(12);
    await decoder.absorb(textOf(12));
    await expect(decoder.step(1)).rejects.toMatchObject({
      code: "usage",
      message: expect.stringContaining("text of 13 tokens: the model was made for at most 12 (model.maxLength)"),
    });
    await decoder.reset();
    await expect(decoder.absorb(textOf(13))).rejects.toThrow("at most 12");
    expect(decoder.position).toBe(0);
    await decoder.release();
  });

  it("goes on after a program that could not be prepared", async () => {
    let failures = 1;
    const failing: Engine = {
      ...{ device: engine.device, separateMemory: engine.separateMemory },
      ...{ threads: engine.threads, traffic: engine.traffic },
      compile: (program) => engine.compile(program),
      compileResident: (program, resident) =>
        failures-- > 0 ? Promise.reject(new Error("out of memory")) : engine.compileResident(program, resident),
      upload: (tensor) => engine.upload(tensor),
      close: async () => {},
    };
    const decoder = await createDecoder({ engine: failing, architecture: decodingArchitecture(config), parameters });
    await expect(decoder.step(1)).rejects.toThrow("out of memory");
    expect(decoder.position).toBe(0);
    const text = textOf(3);
    const logits = await decoder.absorb(text);
    expectClose(logits, expected(config, parameters, text).subarray(-V), { name: "logits", tolerance });
    await decoder.release();
  });

  it("requires a causal model and all its parameters", async () => {
    expect(() => decodingArchitecture(configOf({ causal: false }))).toThrow("model.causal: expected true");
    const { "final.norm.gain": _, ...incomplete } = parameters;
    await expect(decoderOf(config, incomplete)).rejects.toMatchObject({
      code: "checkpoint",
      message: "parameter final.norm.gain: expected 1 values [1], got none",
    });
  });
});
