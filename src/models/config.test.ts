/** Which fields each architecture has, and what does not go together. */
import { describe, expect, it } from "vitest";
import { type ModelConfig, parseModelConfig } from "./config.ts";
import { parametersOf } from "./language-model.ts";
import { presetModel } from "./presets.ts";
import { architectureNames } from "./registry.ts";

const common = { vocabSize: 300, width: 32, layers: 1 };
const gated = { ...common, architecture: "flash", shared: 8, chunk: 16, maxLength: 64 };
const transformer = { ...common, architecture: "transformer++", heads: 4, ffn: 80 };

describe("a model configuration", () => {
  it.each(architectureNames())("of a preset of %s is complete and read back as it was saved", (architecture) => {
    const config = parseModelConfig({ ...presetModel(architecture, "nano", { context: 512 }), vocabSize: 300 });
    expect(parseModelConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
    expect(parametersOf(config).length).toBeGreaterThan(0);
  });

  it("has the fields of its architecture and no others", () => {
    const unit = {
      ...{ expansion: 2, attentionFunction: "relu2", gate: true, tokenShift: false, norm: "scale" },
      ...{ gamma: "ones", outputMaps: "normal", absolute: true, embedding: "scaled", head: "tied", causal: true },
    };
    expect(parseModelConfig(gated)).toEqual({
      ...gated,
      ...unit,
      ...{ attention: "mixed", memory: "sum", halfLives: [1, 1024] }, // the paper's form
    });
    const quad = { ...gated, architecture: "flash-quad" };
    expect(parseModelConfig(quad)).toEqual({ ...quad, ...unit });
    const block = { outputMaps: "normal", absolute: true, embedding: "scaled", head: "tied", causal: true };
    expect(parseModelConfig(transformer)).toEqual({ ...transformer, ...block });
    const performer = { ...transformer, architecture: "performer", features: 16 };
    expect(parseModelConfig(performer)).toEqual({ ...performer, featureSeed: 1, ...block });
  });

  it("says where the embedding and the scale of positions start", () => {
    const startsOf = (fields: object) =>
      Object.fromEntries(
        parametersOf(parseModelConfig({ ...transformer, ...fields })).map(({ path, initial }) => [path, initial]),
      );
    const [scaled, normal] = [startsOf({}), startsOf({ embedding: "normal" })];
    const start = 1 / Math.sqrt(32);
    expect(scaled).toMatchObject({ "embedding.weight": { normal: start }, "position.scale": { constant: start } });
    expect(normal).toEqual({
      ...scaled,
      "embedding.weight": { normal: 0.02 },
      "position.scale": { constant: 0.02 },
    });
    for (const name of architectureNames()) {
      expect(presetModel(name, "nano", { context: 64 })).toMatchObject({ embedding: "normal" });
    }
  });

  it("says where the maps back into the residual stream start: at zero in a preset, else not", () => {
    const startsOf = (config: ModelConfig) => parametersOf(config).map(({ path, initial }) => [path, initial] as const);
    for (const name of architectureNames()) {
      const preset = presetModel(name, "nano", { context: 64 });
      const { outputMaps, ...old } = parseModelConfig({ ...preset, vocabSize: 300 });
      expect(outputMaps).toBe("zero");
      const before = startsOf(parseModelConfig(old));
      const isMap = (path: string) => /\.(attention_out|down|out)\.weight$/.test(path);
      const maps = before.filter(([path]) => isMap(path));
      expect(maps).toHaveLength("heads" in preset ? 2 * old.layers : old.layers);
      for (const [, initial] of maps) expect(initial).toHaveProperty("normal");
      expect(startsOf(parseModelConfig({ ...old, outputMaps }))).toEqual(
        before.map(([path, initial]) => [path, isMap(path) ? { constant: 0 } : initial]),
      );
    }
  });

  it("says whether the map to logits is the embedding: of its own in a preset, else not", () => {
    for (const name of architectureNames()) {
      const preset = { ...presetModel(name, "nano", { context: 64 }), vocabSize: 300 };
      const { head, ...old } = parseModelConfig(preset);
      expect(head).toBe("own");
      const paths = (config: ModelConfig) => parametersOf(config).map(({ path }) => path);
      const tied = paths(parseModelConfig(old));
      expect(paths(parseModelConfig(preset))).toEqual(
        tied.flatMap((path) => (path === "logits.bias" ? ["logits.weight", path] : [path])),
      );
    }
  });

  it.each([
    [{ ...gated, heads: 4 }, "model.heads 4: flash has no such field"],
    [{ ...gated, attention: "locl" }, "did you mean local?"],
    [
      { ...gated, architecture: "flash-quad", attention: "local" },
      'model.attention "local": flash-quad has no such field',
    ],
    [
      { ...gated, attention: "global", attentionFunction: "softmax" },
      'model.attentionFunction "softmax": expected relu2 with attention global, which has no quadratic part',
    ],
    [{ ...gated, attentionFunction: "softmaks" }, "did you mean softmax?"],
    [{ ...gated, gate: "no" }, 'model.gate "no": expected true or false'],
    [{ ...transformer, gate: false }, "model.gate false: transformer++ has no such field"],
    [{ ...transformer, chunk: 8 }, "model.chunk 8: transformer++ has no such field"],
    [{ ...transformer, architecture: "combiner" }, "model.chunk is missing (combiner needs it)"],
    [{ ...transformer, ffn: undefined }, "model.ffn is missing (transformer++ needs it)"],
    [{ ...transformer, heads: 5 }, "model.heads 5: expected a divisor of the width 32"],
    [{ ...transformer, heads: 32 }, "model.heads 32: expected heads of even width for rotary positions"],
    [{ ...gated, shared: 7 }, "model.shared 7: expected an even number"],
    [{ ...transformer, width: 33, heads: 3 }, "model.width 33: expected an even number"],
    [{ ...transformer, architecture: "transformr++" }, "did you mean transformer++?"],
    [{ ...transformer, colour: 1 }, "unknown field model.colour"],
  ])("says what is wrong: %o", (value, message) => {
    expect(() => parseModelConfig(value)).toThrow(message);
  });

  it("allows heads of odd width without RoPE", () => {
    expect(() => parseModelConfig({ ...transformer, architecture: "transformer", heads: 32 })).not.toThrow();
  });

  it("accepts a chunk only for architectures with chunks", () => {
    expect(presetModel("combiner", "tiny", { context: 1024, chunk: 64 })).toMatchObject({ chunk: 64 });
    expect(presetModel("combiner", "tiny", { context: 32 })).toMatchObject({ chunk: 32 });
    expect(() => presetModel("performer", "tiny", { context: 1024, chunk: 64 })).toThrow("performer has no chunks");
  });
});
