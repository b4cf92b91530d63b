/** Filling in blanks: every blank in one window around it, and the candidates that the logits name. */
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { interpret } from "../../test/reference/interpreter.ts";
import { program } from "../graph/program.ts";
import { input } from "../graph/tensor.ts";
import { parseModelConfig } from "../models/config.ts";
import { languageModel, logitsOf, parametersOf } from "../models/language-model.ts";
import { initialise, Scope } from "../nn/scope.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { fillBlanks, groupBlanks } from "./blanks.ts";

const anyText = fc.integer({ min: 1, max: 300 }).chain((length) =>
  fc.record({
    length: fc.constant(length),
    T: fc.integer({ min: 1, max: length }),
    blanks: fc.uniqueArray(fc.nat(length - 1), { minLength: 1 }).map((all) => all.sort((a, b) => a - b)),
  }),
);

describe("groupBlanks", () => {
  it("puts every blank into a window, with a quarter of it or more on either side where the text is long", () => {
    fc.assert(
      fc.property(anyText, ({ length, T, blanks }) => {
        const groups = groupBlanks(blanks, length, T);
        expect(groups.flatMap((group) => group.blanks)).toEqual(blanks);
        for (const { start, blanks: own } of groups) {
          expect(start).toBeGreaterThanOrEqual(0);
          expect(start + T).toBeLessThanOrEqual(length);
          for (const at of own) {
            expect(at).toBeGreaterThanOrEqual(start);
            expect(at).toBeLessThan(start + T);
            const before = Math.min(at, Math.floor(T / 2));
            const after = Math.min(length - 1 - at, Math.floor(T / 4) - 1);
            expect(at - start).toBeGreaterThanOrEqual(before);
            expect(start + T - 1 - at).toBeGreaterThanOrEqual(after);
          }
        }
      }),
    );
  });

  it("takes a text that fits into the context as one window", () => {
    expect(groupBlanks([0, 5, 9], 10, 10)).toEqual([{ start: 0, blanks: [0, 5, 9] }]);
  });
});

describe("fillBlanks", () => {
  const vocabSize = 30;
  const config = parseModelConfig({
    architecture: "flash",
    ...{ vocabSize, width: 16, layers: 2, shared: 8, chunk: 4, maxLength: 12, causal: false },
  });
  const parameters = Object.fromEntries(
    Object.entries(initialise(parametersOf(config), 4)).map(([path, { data }]) => [path, data]),
  );
  const engine = ortNodeEngine();
  afterAll(() => engine.close());
  const excluded = [0, 1, 2];
  const request = {
    ...{ engine, parameters, excluded, context: 12, topK: 4 },
    model: (scope: Scope, ids: ReturnType<typeof input>) => languageModel(scope, ids, config),
  };

  /** The definition: all logits of a window, sorted. */
  function candidates(window: Int32Array, at: number) {
    const ids = input("tokens", [1, window.length], "int32");
    const graph = program("test", { logits: logitsOf(languageModel(new Scope(), ids, config)) });
    const { data } = interpret(graph, { ...parameters, tokens: window }).logits;
    const row = Array.from(data.slice(at * vocabSize, (at + 1) * vocabSize));
    const sum = row.reduce((total, logit) => total + Math.exp(logit), 0);
    const ranked = row.map((logit, token) => ({ token, probability: Math.exp(logit) / sum }));
    return ranked.filter(({ token }) => !excluded.includes(token)).sort((a, b) => b.probability - a.probability);
  }

  const textOf = (length: number, blanks: number[]) =>
    Int32Array.from({ length }, (_, at) => (blanks.includes(at) ? 2 : 3 + ((at * at) % 27)));

  it.each([
    [7, [0, 3], [0, 0]],
    [1, [0], [0]],
    [40, [1, 20, 22, 39], [0, 14, 14, 28]],
  ])("names the likeliest tokens: %i tokens, blanks %j", async (length, blanks, starts) => {
    const tokens = textOf(length, blanks);
    const before = tokens.slice();
    const found = await fillBlanks({ ...request, tokens, blanks });
    expect(found).toHaveLength(blanks.length);
    for (const [i, at] of blanks.entries()) {
      const window = tokens.slice(starts[i], starts[i] + 12);
      const expected = candidates(window, at - starts[i]).slice(0, 4);
      expect(found[i].map(({ token }) => token)).toEqual(expected.map(({ token }) => token));
      for (const [j, { probability }] of found[i].entries())
        expect(probability).toBeCloseTo(expected[j].probability, 5);
    }
    expect(tokens).toEqual(before);
  });

  it("returns all ordinary tokens when asked for more, and nothing without blanks", async () => {
    const [all] = await fillBlanks({ ...request, tokens: textOf(5, [2]), blanks: [2], topK: 1000 });
    expect(all).toHaveLength(vocabSize - 3);
    expect(await fillBlanks({ ...request, tokens: textOf(5, []), blanks: [] })).toEqual([]);
  });

  it("throws when the model holds values that are not finite", async () => {
    const broken = { ...parameters, "logits.bias": new Float32Array(vocabSize).fill(Number.NaN) };
    await expect(
      fillBlanks({ ...request, parameters: broken, tokens: textOf(5, [2]), blanks: [2] }),
    ).rejects.toMatchObject({ code: "diverged" });
  });
});
