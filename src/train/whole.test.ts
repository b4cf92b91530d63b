/** Whole documents: every token once, and the loss that one long window and a decoder give, document by document. */
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { expectClose } from "../../test/support/compare.ts";
import { tokensInMemory } from "../data/token-sequence.ts";
import { createDecoder } from "../generate/decoder.ts";
import { carriedState } from "../models/carry.ts";
import { type ModelConfig, parseModelConfig } from "../models/config.ts";
import { decodingArchitecture } from "../models/decoding.ts";
import { modelOf, parametersOf } from "../models/language-model.ts";
import type { CarriedState } from "../nn/past.ts";
import { initialise } from "../nn/scope.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { evaluationProgram } from "./objective.ts";
import { createWholeEvaluator, wholeWindow, windowsOf } from "./whole.ts";

const endOfText = 0;
const engine = ortNodeEngine({ threads: 1 });
afterAll(() => engine.close());

/** Documents of so many tokens, each with the end-of-text token before it. */
const documentsOf = (lengths: readonly number[]) =>
  Int32Array.from(
    lengths.flatMap((length, k) => [endOfText, ...Array.from({ length }, (_, i) => 1 + ((i * i + 7 * k) % 10))]),
  );

describe("windows", () => {
  it("hold every token but the first as a target once, each in its own document, from its first token on", () => {
    const sizes = fc.record({
      lengths: fc.array(fc.nat(40), { minLength: 1, maxLength: 8 }),
      span: fc.integer({ min: 1, max: 5 }),
      doublings: fc.nat(3),
    });
    fc.assert(
      fc.property(sizes, ({ lengths, span, doublings }) => {
        const text = documentsOf([...lengths, 3]);
        const largest = span * 2 ** doublings;
        const read: number[] = [];
        const targets: number[] = [];
        for (const window of windowsOf(tokensInMemory(text), { largest, span, endOfText })) {
          const { tokens, count, at, position } = window;
          expect(tokens.length % span).toBe(0);
          expect(tokens.length).toBeLessThanOrEqual(largest);
          expect(at).toBe(read.length);
          expect(position).toBe(at - text.subarray(0, at + 1).lastIndexOf(endOfText));
          expect(tokens.subarray(1, count)).not.toContain(endOfText);
          read.push(...tokens.subarray(0, count));
          targets.push(...window.targets.subarray(0, count));
        }
        expect(read).toEqual([...text.subarray(0, -1)]);
        expect(targets).toEqual([...text.subarray(1)]);
      }),
      { numRuns: 100 },
    );
  });

  it("need two tokens", () => {
    const windows = windowsOf(tokensInMemory(Int32Array.of(endOfText)), { largest: 8, span: 8, endOfText });
    expect(() => windows.next()).toThrow("at least 2 tokens are needed");
  });
});

const small = { vocabSize: 11, width: 16, layers: 2, chunk: 8 };
const unit = { architecture: "flash", shared: 8, maxLength: 64 };
const models: readonly (readonly [name: string, config: ModelConfig])[] = [
  ["flash", parseModelConfig({ ...small, ...unit })],
  ["flash, token shift", parseModelConfig({ ...small, ...unit, tokenShift: true })],
  [
    "flash, the paper's sum, absolute positions",
    parseModelConfig({ ...small, ...unit, memory: "sum", absolute: true }),
  ],
  ["flash, learned decays", parseModelConfig({ ...small, ...unit, memory: "learned" })],
  ["flash, gated, token shift", parseModelConfig({ ...small, ...unit, memory: "gated", tokenShift: true })],
  ["flash, local", parseModelConfig({ ...small, ...unit, attention: "local" })],
  ["mc-tfm++", parseModelConfig({ ...small, architecture: "mc-tfm++", heads: 2, ffn: 16 })],
];

describe.each(models)("%s", (_, config) => {
  const carried = carriedState(config) as CarriedState;
  const model = modelOf(config);
  const parameters = initialise(parametersOf(config), 5);
  const values = Object.fromEntries(Object.entries(parameters).map(([path, { data }]) => [path, data]));
  const lengths = [wholeWindow(carried) + 700, 3, 0, 90];
  const text = documentsOf(lengths);

  const whole = async () => {
    const evaluator = createWholeEvaluator(engine, model, { carried, endOfText });
    const result = await evaluator.run(parameters, tokensInMemory(text));
    await evaluator.release();
    return result;
  };

  /** Each document on its own: its tokens and what follows each. */
  function* documents() {
    for (let k = 0, at = 0; k < lengths.length; at += lengths[k] + 1, k++) {
      const end = Math.min(at + lengths[k] + 2, text.length);
      yield { tokens: text.slice(at, end - 1), targets: text.slice(at + 1, end) };
    }
  }

  it("has the losses of one long window and of a decoder", { timeout: 60_000 }, async () => {
    const { lossByRange, tokensByRange, ...result } = await whole();
    const decoder = await createDecoder({ engine, architecture: decodingArchitecture(config), parameters: values });
    const nats: number[] = [];
    const ranges: number[] = [];
    for (const { tokens, targets } of documents()) {
      const context = tokens.length;
      const compiled = await engine.compile(evaluationProgram(model, { batch: 1, context }).program);
      const { losses } = await compiled.run({ ...values, tokens, targets, weights: new Float32Array(context) });
      const own = [...losses];
      await compiled.release();
      await decoder.reset();
      expectClose(await decoder.losses(tokens, targets), own, { name: "losses of the decoder", tolerance: 2e-5 });
      nats.push(...own);
      ranges.push(...own.map((_, position) => (position === 0 ? 0 : 1 + Math.floor(Math.log2(position)))));
    }
    await decoder.release();
    expect(result).toMatchObject({ documents: 4, tokens: text.length - 1 });
    expect(result.totalLoss / nats.reduce((sum, x) => sum + x, 0)).toBeCloseTo(1, 5);
    for (const [range, sum] of lossByRange.entries()) {
      const own = nats.filter((_, i) => ranges[i] === range);
      expect(tokensByRange[range]).toBe(own.length);
      expect(sum / own.reduce((total, x) => total + x, 0)).toBeCloseTo(1, 5);
    }
    expect(lossByRange.length).toBe(Math.max(...ranges) + 1);
  });

  it("does not depend on what stood far away without the distant half", async () => {
    const [one, other] = [documentsOf([60]), documentsOf([60])];
    other.set([4, 4, 4], 2); // in the first chunk
    /** The loss of positions 32 to 63. */
    const later = async (text: Int32Array, distant: boolean) => {
      const evaluator = createWholeEvaluator(engine, modelOf(config, { distant }), { carried, endOfText });
      const { lossByRange } = await evaluator.run(parameters, tokensInMemory(text));
      await evaluator.release();
      return lossByRange[6];
    };
    expect(await later(other, false)).toBeCloseTo(await later(one, false), 4);
    const changed = Math.abs((await later(other, true)) - (await later(one, true)));
    if ((config as { attention?: string }).attention === "local") expect(changed).toBeLessThan(1e-4);
    else expect(changed).toBeGreaterThan(1e-4);
  });

  it("stops where it is told to, with what it has read", async () => {
    const evaluator = createWholeEvaluator(engine, model, { carried, endOfText });
    const told: number[] = [];
    const { tokens } = await evaluator.run(parameters, tokensInMemory(text), (done) => {
      told.push(done);
      return false;
    });
    expect(tokens).toBe(wholeWindow(carried));
    expect(told).toEqual([tokens / (text.length - 1)]);
    await evaluator.release();
  });
});

it("says when the model holds values that are not finite", async () => {
  const [, config] = models[0];
  const carried = carriedState(config) as CarriedState;
  const parameters = initialise(parametersOf(config), 5);
  parameters["logits.bias"].data.fill(Number.NaN);
  const evaluator = createWholeEvaluator(engine, modelOf(config), { carried, endOfText });
  const running = evaluator.run(parameters, tokensInMemory(documentsOf([20])));
  await expect(running).rejects.toMatchObject({ code: "diverged" });
  await evaluator.release();
});
