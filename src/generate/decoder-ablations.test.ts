/**
 * Decoding of every ablation of FLASH and FLASH-Quad against its training-time forward pass: by steps, at once and in
 * parts that end on both sides of a chunk border, and a fork that has to take all of the state with it.
 */
import { afterAll, describe, expect, it } from "vitest";
import { compare, expectClose } from "../../test/support/compare.ts";
import { expectCloseRows, expected, inParts, textOf, V, wildParameters } from "../../test/support/decoding.ts";
import { type ModelConfig, parseModelConfig } from "../models/config.ts";
import { decodingArchitecture } from "../models/decoding.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { createDecoder } from "./decoder.ts";

const engine = ortNodeEngine({ threads: 2 });
afterAll(() => engine.close());
const tolerance = 1e-5;
const C = 8;

const variants: readonly object[] = [
  { architecture: "flash", attention: "local" },
  { architecture: "flash", attention: "global" },
  { architecture: "flash", attentionFunction: "softmax" },
  { architecture: "flash", attentionFunction: "laplace", tokenShift: true },
  { architecture: "flash", gate: false, expansion: 3 },
  { architecture: "flash", attentionFunction: "softmax", gate: false, attention: "local", norm: "layer" },
  { architecture: "flash", attention: "global", gate: false, tokenShift: true },
  { architecture: "flash-quad", attentionFunction: "softmax", tokenShift: true },
  { architecture: "flash-quad", attentionFunction: "laplace", gate: false },
  { architecture: "flash", head: "own", memory: "learned" },
  { architecture: "flash-quad", head: "own" },
  { architecture: "flash", rotaryWidth: 2, finalNorm: "layer" },
  { architecture: "flash-quad", rotaryWidth: 4, tokenShift: true },
];

const steps = (count: number) => new Array<number>(count).fill(-1);
const decoderOf = (config: ModelConfig, parameters: Record<string, Float32Array>) =>
  createDecoder({ engine, architecture: decodingArchitecture(config), parameters });

describe.each(variants.map((fields) => [JSON.stringify(fields), fields] as const))("%s", (_, fields) => {
  const sizes = { vocabSize: V, width: 16, layers: 2, shared: 6, chunk: C, maxLength: 8 * C };
  const config = parseModelConfig({ ...sizes, ...fields });
  const parameters = wildParameters(config);
  const text = textOf(5 * C + 1);
  const golden = expected(config, parameters, text);

  it("equals the forward pass at every position, however the text is divided", async () => {
    const decoder = await decoderOf(config, parameters);
    const bytes = decoder.stateBytes;
    const ways = [[text.length], steps(text.length), [C - 1, 2, ...steps(C - 2), 2 * C + 3, ...steps(2), C - 3]];
    for (const parts of ways) {
      await decoder.reset();
      expectCloseRows(await inParts(decoder, text, parts), golden, { name: `parts ${parts}`, tolerance });
    }
    expect(decoder.stateBytes).toBe(bytes);
    await decoder.release();
  });

  it("forks with all of its state, and starts again with none", async () => {
    const decoder = await decoderOf(config, parameters);
    const first = await decoder.step(text[0]);
    expectClose(first, golden.subarray(0, V), { name: "the first token", tolerance });
    await decoder.absorb(text.subarray(1, C + 3));
    const fork = await decoder.fork();
    await decoder.absorb(textOf(C, 5));
    const logits = await fork.step(text[C + 3]);
    const row = golden.subarray((C + 3) * V, (C + 4) * V);
    expectClose(logits, row, { name: "the fork", tolerance });
    await decoder.reset();
    // The same token as the first of a text gives other logits: what was before it counts in this test.
    const alone = await decoder.step(text[C + 3]);
    expect(compare(alone, row).relative).toBeGreaterThan(0.05);
    expectClose(alone, expected(config, parameters, text.subarray(C + 3, C + 4)), { name: "after reset", tolerance });
    await decoder.release();
  });
});
