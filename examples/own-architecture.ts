/**
 * An architecture of one's own: linear attention whose memory fades as each token decides (gated linear attention, Yang
 * et al. 2023, with one decay for all dimensions). Trains it, writes with it, compares its speed with FLASH's.
 *
 *   npx tsx examples/own-architecture.ts book.txt runs/own
 */
import { fileURLToPath } from "node:url";
import { generate, loadModel, train } from "longhand";
import type { Tensor } from "longhand/graph";
import { defineArchitecture, registerArchitecture } from "longhand/models";
import { type Layer, linear, linearParameters, norm, type Scope, silu, splitLinear } from "longhand/nn";
import { reproduce } from "longhand/reproduce";
import { z } from "zod";

function fadingAttention(d: number, s: number): Layer {
  const e = 2 * d;

  /**
   * T tokens x [B …, T, d] (a text alone has no axis B) after a memory [B …, s, e] of all before them. `hidden` [T, T]
   * hides what comes later.
   */
  function read(scope: Scope, x: Tensor, hidden: Tensor | undefined, memory?: Tensor, real?: Tensor) {
    const [T, normal] = [x.shape[x.rank - 2], norm(scope.at("norm"), x, "scale")];
    const [q, keys, v, gate] = splitLinear(normal, linearParameters(scope.at("in"), d, 2 * s + 2 * e), [s, s, e, e]);
    const own = linear(scope.at("decay"), normal, 1).add(4).sigmoid().log(); // of each token, [B, T, 1]
    const [k, decay] = [keys, own].map((t) => (real ? t.mul(real) : t)); // padding neither adds nor fades
    const faded = decay.cumsum(-2); // log of what is left after t tokens of the memory before them
    const between = faded.sub(faded.swapLast()); // [B, T, T]: of token j, when token i reads it
    const scores = q.matmul(k.swapLast()).mul((hidden ? between.add(hidden) : between).exp());
    const here = scores.matmul(v);
    const found = memory ? here.add(q.matmul(memory).mul(faded.exp())) : here;
    const last = faded.slice(-2, T - 1, T);
    const added = k.mul(last.sub(faded).exp()).swapLast().matmul(v); // [B, s, e]
    return {
      y: x.add(linear(scope.at("out"), silu(gate).mul(norm(scope.at("found"), found, "scale")), d)),
      state: { memory: memory ? memory.mul(last.exp()).add(added) : added },
    };
  }

  return {
    forward(scope, x, { visibility }) {
      const [T, { sources, hidden }] = [x.shape[1], visibility.square(x.shape[1])];
      return read(scope, x, hidden(sources, 0, T)).y;
    },
    recurrence: {
      span: Number.POSITIVE_INFINITY,
      state: { memory: { shape: [s, e], change: "replaced", initial: 0 } },
      step: (scope, x, tokens, { memory }) => read(scope, x, tokens.hiddenFuture(), memory, tokens.real),
    },
  };
}

registerArchitecture(
  defineArchitecture({
    name: "fading",
    label: "Fading memory",
    description: "linear attention whose memory fades as each token decides",
    look: { light: "#6a3d9a", dark: "#cab2d6", symbol: "asterisk", dashes: "none" },
    fields: { shared: z.number().int().positive().describe("s: width of queries and keys.") },
    quadratic: true, // in training, which reads whole windows at once
    bidirectional: false,
    preset: ({ width, layers, shared }) => ({ width, layers, shared }),
    rotaryWidth: () => 0,
    layer: ({ width, shared }) => fadingAttention(width, shared),
  }),
);

async function main(data = "book.txt", out = "runs/own", steps = "200") {
  const size = { preset: "nano", context: 256, vocab: 512 };
  const trained = await train({ ...size, data, out, model: "fading", batch: 2, steps: Number(steps), overwrite: true });
  console.log(`held-out perplexity ${trained.perplexity?.toFixed(1)}`);
  const model = await loadModel(out);
  for await (const piece of generate(model, { prompt: "It was", tokens: 50, seed: 1 })) {
    if (piece.type === "text") process.stdout.write(piece.text);
  }
  await model.close();
  const compared = { models: "fading,flash", only: "speed", contexts: "256", tokens: 256, rounds: 3, budget: 5 };
  const { report } = await reproduce({ ...compared, out: `${out}-compared`, modules: here });
  console.log(`\ncompared: ${report}`);
}

// The processes of the comparison import this file for its architecture alone.
const here = fileURLToPath(import.meta.url);
if (process.argv[1] === here) main(...process.argv.slice(2));
