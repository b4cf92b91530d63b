import { describe, expect, it } from "vitest";
import { type Machine, resolveConfig, withData } from "./resolve.ts";
import { parseRunConfig } from "./run-config.ts";
import { DEFAULT_DECAYS, OUTER, parseTrainSettings } from "./train-settings.ts";

const machine: Machine = {
  version: "1.2.3",
  processors: 7,
  absolute: (data) => (typeof data === "string" ? `/here/${data}` : data.map((path) => `/here/${path}`)),
  prepared: () => false,
};
const resolved = (settings: object, overrides = {}) => resolveConfig(parseTrainSettings(settings), machine, overrides);

describe("a configuration", () => {
  it("is complete, with what only the machine knows passed in", () => {
    const config = resolved({ data: "a.txt", evalData: "b.txt", tokenizer: "t.json", steps: 30, context: 32 });
    expect(parseRunConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
    expect(config).toMatchObject({
      longhand: "1.2.3",
      data: { path: "/here/a.txt", evalPath: "/here/b.txt", tokenizer: "/here/t.json", vocab: 4096 },
      model: { vocabSize: 4096, chunk: 32, causal: true },
      training: { schedule: { peak: 1e-2, warmup: 3 }, optimizer: { name: "muon", decayed: "maps" } },
      engine: { device: "cpu", threads: 7 },
    });
  });

  it("has the usual rate of its optimiser, unless one is given or to be found", () => {
    const rateOf = (settings: object) => resolved({ data: "a", ...settings }).training.schedule;
    expect(rateOf({ optimizer: "adamw" })).toMatchObject({ peak: 2e-3, search: false });
    expect(rateOf({ lr: 3e-3 })).toMatchObject({ peak: 3e-3, search: false });
    expect(rateOf({ lr: "auto" })).toMatchObject({ peak: 1e-2, search: true });
  });

  it("has the usual weight decay of its optimiser, unless one is given", () => {
    const decayOf = (settings: object, overrides = {}) => {
      const { weightDecay, decayFromText } = resolved({ data: "a", ...settings }, overrides).training.optimizer;
      return [weightDecay, decayFromText];
    };
    expect(decayOf({})).toEqual([DEFAULT_DECAYS.muon, true]);
    expect(decayOf({ optimizer: "adamw" })).toEqual([0.01, false]);
    expect(decayOf({ weightDecay: 0 })).toEqual([0, false]);
    expect(decayOf({}, { "training.optimizer.name": "adamw" })).toEqual([0.01, false]);
    expect(decayOf({}, { "training.optimizer.weightDecay": 0.3 })).toEqual([0.3, false]);
  });

  it("has the model of its source, with a rate and a weight decay for it", () => {
    const { model, training } = resolved({ data: "a", context: 64, objective: "masked" });
    const { objective, context, documents, carry } = training;
    const source = {
      ...{ path: "/runs/book", step: 5, weights: "ab", tokenizer: "/runs/book/tokenizer.json", bytesPerToken: 3 },
      config: { model: { ...model, vocabSize: 500 }, training: { objective, context, documents, carry } },
    };
    const tuned = (settings: object) => {
      const asked = parseTrainSettings({ data: "b", context: 64, from: "runs/book", ...settings });
      return resolveConfig(asked, machine, {}, source);
    };
    const config = tuned({});
    expect(parseRunConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
    expect(config).toMatchObject({
      data: { vocab: 500, tokenizer: "/runs/book/tokenizer.json", bytesPerToken: 3 },
      from: { path: "/runs/book", step: 5, weights: "ab" },
      model: source.config.model,
      training: {
        objective: "masked",
        schedule: { peak: 2e-3 },
        optimizer: { weightDecay: 0.01, decayFromText: false },
      },
    });
    expect(tuned({ optimizer: "adamw" }).training.schedule.peak).toBeCloseTo(4e-4);
    const adapted = tuned({ adapter: "rank=4,alpha=8" });
    expect(adapted.training).toMatchObject({ adapter: { rank: 4, alpha: 8 }, schedule: { peak: 0.02 } });
    expect(tuned({ adapter: { rank: 4 } }).training.adapter).toEqual({ rank: 4, alpha: 4 });
    expect(() => resolved({ data: "a", adapter: "rank=4" })).toThrow("name that by `from`");
  });

  it("takes fields by name after everything else", () => {
    const config = resolved({ data: "a" }, { "model.expansion": 3, "training.objective": "masked" });
    expect(config).toMatchObject({ model: { expansion: 3, causal: false }, training: { objective: "masked" } });
  });

  it("is completed by its data: vocabulary, tokenizer, where each corpus was found", () => {
    const opened = { vocabSize: 300, digest: "d", paths: [undefined, "hub:c4/en@abc"], evalPath: "/there/b" };
    const config = resolved({ mix: ["a=1", "hub:c4/en=2"], evalData: "b" });
    const { data, model } = withData(config, opened);
    expect(data.mix?.map(({ path }) => path)).toEqual(["/here/a", "hub:c4/en@abc"]);
    expect([data.evalPath, data.tokenizerDigest, model.vocabSize]).toEqual(["/there/b", "d", 300]);
    expect(withData(resolved({ data: "a" }), { ...opened, paths: ["/there/a"] }).data.path).toBe("/there/a");
    expect(withData(resolved({ data: "a" }), { vocabSize: 300, digest: "d" }).data).toMatchObject({ path: "/here/a" });
  });

  it.each([
    [{ steps: 10, warmup: 11 }, {}, "warmup 11 exceeds the 10 steps"],
    [{}, { "model.widht": 3 }, "`set` model.widht: expected one of "],
    [{}, { "model.vocabSize": 3 }, "`set` model.vocabSize: expected one of "],
    [{}, { "model.width": 33 }, "model.width 33: expected an even number"],
    [{ model: "performer", objective: "masked" }, { "model.causal": true }, "model.causal true: expected false"],
  ])("refuses contradictions: %j %j", (settings, overrides, message) => {
    expect(() => resolved({ data: "a", ...settings }, overrides)).toThrow(
      expect.objectContaining({ code: "usage", message: expect.stringContaining(message) }),
    );
  });
});

describe("config.json of the first version", () => {
  const old = {
    longhand: "0.1.0",
    data: { path: "/a.txt", evalFraction: 0.05, evalTokens: 131072, vocab: 400, tokenizerDigest: "97f0" },
    model: {
      architecture: "flash",
      vocabSize: 400,
      width: 128,
      layers: 4,
      expansion: 2,
      shared: 32,
      chunk: 64,
      maxLength: 64,
      norm: "scale",
      causal: true,
    },
    training: {
      context: 64,
      batch: 2,
      accumulate: 1,
      steps: 2,
      schedule: { peak: 0.002, warmup: 1, decay: "linear", floor: 0 },
      optimizer: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01, clip: 1 },
      seed: 1,
      evalEvery: 100,
      saveEvery: 100,
      keep: 3,
      maxSkips: 5,
    },
    engine: { device: "cpu", threads: 2 },
  };

  it("means what it meant: what came later has the value that was the only one", () => {
    expect(parseRunConfig(old)).toEqual({
      ...old,
      model: {
        ...old.model,
        ...{ attention: "mixed", attentionFunction: "relu2", gate: true, tokenShift: false },
        ...{ memory: "sum", halfLives: [1, 1024], gamma: "ones", absolute: true, embedding: "scaled" }, // the paper's form
        ...{ outputMaps: "normal", head: "tied" },
      },
      training: {
        ...old.training,
        ...{ objective: "causal", documents: "joined", carry: false, carryEvery: 8, recompute: "none" },
        ...{ sampleTokens: 64, syncEvery: 0, outer: OUTER },
        schedule: { ...old.training.schedule, search: false, cooldown: 0, cooldownShape: "sqrt" },
        optimizer: {
          ...old.training.optimizer,
          name: "adamw",
          momentum: 0.95,
          decayed: "matrices",
          ema: 0,
          decayFromText: false,
        },
      },
    });
  });

  it("is complete: a field with a default of today is not filled in", () => {
    const { steps: _, ...training } = old.training;
    expect(() => parseRunConfig({ ...old, training })).toThrow(/^training\.steps is missing/);
  });

  it("names a field that is wrong by its place", () => {
    const wrong = { ...old, training: { ...old.training, seed: -1 } };
    expect(() => parseRunConfig(wrong)).toThrow(/^training\.seed -1: /);
  });
});
