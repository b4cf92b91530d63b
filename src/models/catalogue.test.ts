/** Sizes and costs of all architectures: equal parameters at equal size, and which cost grows with the context. */
import { describe, expect, it } from "vitest";
import { program } from "../graph/program.ts";
import { input } from "../graph/tensor.ts";
import { Scope } from "../nn/scope.ts";
import { describeArchitectures, forwardFlops, matmulFlops } from "./catalogue.ts";
import { parseModelConfig } from "./config.ts";
import { languageModel, logitsOf } from "./language-model.ts";
import { presetModel, presetNames, presets } from "./presets.ts";
import { type ArchitectureName, architectureNames } from "./registry.ts";

const vocabSize = 8192;
const costs = Object.fromEntries(
  describeArchitectures("tiny", vocabSize).map(({ architecture, flopsPerToken }) => [architecture, flopsPerToken]),
) as Record<ArchitectureName, (context: number) => number>;

describe.each(presetNames)("preset %s", (preset) => {
  const described = describeArchitectures(preset, vocabSize);
  const flash = described[0].parameters;

  it.each(described)("$architecture has as many parameters as flash within 3 %", ({ parameters }) => {
    expect(Math.abs(parameters / flash - 1)).toBeLessThan(0.03);
  });

  it("has all architectures, and half the layers in the Transformers", () => {
    expect(described.map(({ architecture }) => architecture)).toEqual(architectureNames());
    for (const { architecture, configFor } of described) {
      const { layers } = configFor(1024);
      expect(layers).toBe(presets[preset].layers / (architecture.startsWith("flash") ? 1 : 2));
    }
  });
});

describe("cost per token", () => {
  it.each(architectureNames())("of %s, of all layers of the graph", (architecture) => {
    const context = 384;
    const config = parseModelConfig({ ...presetModel(architecture, "nano", { context }), vocabSize: 100 });
    const whole = logitsOf(languageModel(new Scope(), input("tokens", [1, context], "int32"), config));
    expect(forwardFlops(config, context)).toBe(matmulFlops(program("whole", { logits: whole })));
  });

  it.each(["flash", "mc-tfm++", "performer"] as const)("of %s does not depend on the context", (architecture) => {
    const flops = costs[architecture];
    // Decayed sums go over blocks of chunks by small products, in contexts of more than one block.
    const digits = architecture === "performer" ? 6 : 2.5;
    for (const context of [2048, 8192, 65536]) expect(flops(context) / flops(1024)).toBeCloseTo(1, digits);
  });

  it("of the paper's flash does not depend on the context at all", () => {
    const flops = (context: number) => {
      const fields = presetModel("flash", "tiny", { context, memory: "sum" });
      return forwardFlops(parseModelConfig({ ...fields, vocabSize }), context) / context;
    };
    for (const context of [2048, 8192, 65536]) expect(flops(context) / flops(1024)).toBeCloseTo(1, 6);
  });

  it.each(["flash-quad", "transformer", "transformer+", "transformer++", "combiner"] as const)(
    "of %s grows with it",
    (architecture) => {
      const flops = costs[architecture];
      const [a, b, c] = [8192, 16384, 24576].map(flops);
      expect(b).toBeGreaterThan(1.01 * a);
      expect(c - b).toBeCloseTo(b - a, 0);
    },
  );

  it("of softmax attention is half the square where the future is hidden", () => {
    const [d, layers] = [presets.tiny.width, presets.tiny.layers / 2];
    const growth = (costs["transformer++"](16384) - costs["transformer++"](8192)) / 8192;
    const full = 3 * layers * 4 * d; // scores and their use, 2 d each, forward and backward
    expect(growth / full).toBeCloseTo(0.5625, 6); // eight blocks of queries
  });
});
