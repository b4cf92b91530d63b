/** What a position attends to, chunk by chunk, against the same graph over the whole text at once. */
import { afterAll, describe, expect, it } from "vitest";
import { expectClose } from "../../test/support/compare.ts";
import { smallModel } from "../../test/support/small-model.ts";
import { randomKey, randomNormals } from "../base/random.ts";
import { sizeOf } from "../base/shape.ts";
import { program } from "../graph/program.ts";
import { input, type Tensor } from "../graph/tensor.ts";
import type { ModelConfig } from "../models/architecture.ts";
import { languageModel, parametersOf } from "../models/language-model.ts";
import { Scope } from "../nn/scope.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { readBy } from "../train/carried.ts";
import { AttentionViewer, showsAttention } from "./attention.ts";

const engine = ortNodeEngine({ threads: 1 });
afterAll(() => engine.close());

const vocabSize = 50;
const T = 80;
const tokens = Int32Array.from({ length: T }, (_, i) => (i * i + 3 * i) % vocabSize);
const sizes = { context: 128, vocabSize, causal: true };

function modelOf(config: ModelConfig) {
  const entries = parametersOf(config).map(({ path, shape }) => {
    return [path, { dtype: "float32", shape, data: randomNormals(randomKey(3, path), sizeOf(shape), 0.3) }] as const;
  });
  return { path: "small", engine, config: { model: config }, parameters: Object.fromEntries(entries) };
}

/** Everything that the layers show of the whole text in one window. */
async function atOnce(model: ReturnType<typeof modelOf>) {
  const outputs: Record<string, Tensor> = {};
  languageModel(new Scope(), input("tokens", [1, T], "int32"), model.config.model, {
    observe: (layer, seen) => {
      for (const [name, tensor] of Object.entries(seen)) if (tensor) outputs[`${name}.${layer}`] = tensor;
    },
  });
  const graph = program("all", outputs);
  const arrays = Object.fromEntries(Object.entries(model.parameters).map(([path, { data }]) => [path, data]));
  const run = await engine.compile(graph);
  return { outputs, values: await run.run(readBy(graph.inputs, { ...arrays, tokens })) };
}

describe.each(["flash", "mc-tfm++", "transformer++", "flash-quad"])("%s", (architecture) => {
  it("shows of every position what it does in the whole text", async () => {
    const model = modelOf(smallModel(architecture, sizes));
    const viewer = new AttentionViewer(model);
    const { outputs, values } = await atOnce(model);
    // Backwards too, and into a chunk whose beginning is known.
    for (const position of [T - 1, 0, 15, 16, 47, 17, T - 1]) {
      const { start, chunk, layers } = await viewer.at(tokens, position);
      const C = chunk ?? T;
      expect(start).toBe(chunk === null ? 0 : chunk * Math.floor(position / chunk));
      expect(layers).toHaveLength(model.config.model.layers);
      for (const [layer, { heads, localNorm, distantNorm }] of layers.entries()) {
        const { shape } = outputs[`weights.${layer}`]; // [1, (H), (G), C, C]
        const H = heads.length;
        const G = sizeOf(shape) / (H * C * C);
        const [g, r] = [start / C, position - start];
        for (const [h, weights] of heads.entries()) {
          const from = ((h * G + g) * C + r) * C;
          const whole = values[`weights.${layer}`].slice(from, from + r + 1);
          expectClose(weights, whole, { name: `weights ${layer} ${position}`, tolerance: 1e-4 });
        }
        const normAt = (name: string) => {
          const rows = values[`${name}.${layer}`];
          const w = rows.length / (H * G * C);
          const ofHeads = heads.map((_, h) => rows.slice(((h * G + g) * C + r) * w, ((h * G + g) * C + r + 1) * w));
          return Math.hypot(...ofHeads.flatMap((row) => Array.from(row)));
        };
        expectClose([localNorm], [normAt("local")], { name: "local", tolerance: 1e-4 });
        if (distantNorm === null) expect(`distant.${layer}` in values).toBe(false);
        else if (start > 0) expectClose([distantNorm], [normAt("distant")], { name: "distant", tolerance: 1e-4 });
        else expect(distantNorm).toBe(0);
      }
    }
  });
});

it("knows that another text has begun", async () => {
  const viewer = new AttentionViewer(modelOf(smallModel("flash", sizes)));
  const first = await viewer.at(tokens, 70);
  const other = tokens.map((token, i) => (i === 5 ? token + 1 : token));
  const second = await viewer.at(other, 70);
  expect(second.layers[0].distantNorm).not.toBe(first.layers[0].distantNorm);
  expect(await viewer.at(tokens, 70)).toEqual(first);
});

it("is shown of models with exact weights that read one way", () => {
  const shows = (name: string, causal = true) => showsAttention(smallModel(name, { ...sizes, causal }));
  expect(["flash", "transformer", "performer", "combiner"].map((name) => shows(name))).toEqual([
    true,
    true,
    false,
    false,
  ]);
  expect(shows("flash", false)).toBe(false);
  expect(() => new AttentionViewer(modelOf(smallModel("performer", sizes)))).toThrow(/has no attention weights/);
});

it("refuses positions that are not there", async () => {
  const viewer = new AttentionViewer(modelOf(smallModel("flash", sizes)));
  for (const position of [-1, T, 1.5])
    await expect(viewer.at(tokens, position)).rejects.toThrow(/expected one from 0 to 79/);
});
