/**
 * The paper's Transformer in jax-js, as its own examples are written: compiled as a whole, loss, gradients and AdamW
 * together. In jax-js each use of an array takes it, but for the last one of `.ref`.
 */
import { defaultDevice, init, jit, nn, numpy as np, tree, valueAndGrad } from "@jax-js/jax";
import { type TrainerPage, tokensOf, type WebStep, type WebTraining } from "./trainer.ts";

type Layer = Record<"norm1" | "q" | "k" | "v" | "out" | "norm2" | "up" | "down", np.Array>;
type Parameters = { embedding: np.Array; positions: np.Array; layers: Layer[]; norm: np.Array; head: np.Array };

/** Fields of a Transformer that say its size. */
interface Size {
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly ffn: number;
  readonly vocabSize: number;
}

let next: () => Promise<WebStep>;

const page: TrainerPage = {
  async prepare(training) {
    await init("wasm");
    defaultDevice("wasm");
    const size = training.model as unknown as Size;
    const step = trainStep(size, training);
    const { tokens, targets } = tokensOf(training);
    let parameters = initial(size, training.context);
    let [m, v] = [zeros(parameters), zeros(parameters)];
    next = async () => {
      const started = performance.now();
      const integers = { dtype: np.int32 };
      const result = step(parameters, m, v, np.array(tokens, integers), np.array(targets, integers));
      ({ parameters, m, v } = result);
      const [loss] = await result.loss.data();
      await parameters.embedding.blockUntilReady();
      return { milliseconds: performance.now() - started, loss };
    };
  },
  step: () => next(),
};
Object.assign(globalThis, { page });

function initial({ width, layers, ffn, vocabSize }: Size, context: number): Parameters {
  const normal = (rows: number, columns: number, scale: number) => {
    const values = Float32Array.from({ length: rows * columns }, () => scale * (Math.random() + Math.random() - 1));
    return np.array(values).reshape([rows, columns]);
  };
  const map = (from: number, to: number) => normal(from, to, 1 / Math.sqrt(from));
  return {
    embedding: normal(vocabSize, width, 0.02),
    positions: normal(context, width, 0.02),
    layers: Array.from({ length: layers }, () => ({
      norm1: np.ones([width]),
      ...{ q: map(width, width), k: map(width, width), v: map(width, width), out: map(width, width) },
      norm2: np.ones([width]),
      ...{ up: map(width, ffn), down: map(ffn, width) },
    })),
    norm: np.ones([width]),
    head: map(width, vocabSize),
  };
}

const zeros = (parameters: Parameters): Parameters => tree.map((x: np.Array) => np.zerosLike(x), tree.ref(parameters));

function trainStep({ width, heads, vocabSize }: Size, { batch, context }: WebTraining) {
  const rows = batch * context;
  const norm = (x: np.Array, scale: np.Array) => nn.standardize(x).mul(scale);
  const byHead = (x: np.Array) => x.reshape([batch, context, heads, width / heads]);
  const lossOf = (
    { embedding, positions, layers, norm: last, head }: Parameters,
    tokens: np.Array,
    targets: np.Array,
  ) => {
    let x = np.matmul(nn.oneHot(tokens, vocabSize), embedding);
    x = x.reshape([batch, context, width]).add(positions).reshape([rows, width]);
    for (const { norm1, q, k, v, out, norm2, up, down } of layers) {
      const h = norm(x.ref, norm1);
      const [queries, keys, values] = [np.matmul(h.ref, q), np.matmul(h.ref, k), np.matmul(h, v)].map(byHead);
      const attended = nn.dotProductAttention(queries, keys, values, { isCausal: true });
      x = x.add(np.matmul(attended.reshape([rows, width]), out));
      x = x.add(np.matmul(nn.gelu(np.matmul(norm(x.ref, norm2), up)), down));
    }
    const logits = np.matmul(norm(x, last), head);
    return np.sum(nn.logSoftmax(logits).mul(nn.oneHot(targets, vocabSize))).mul(-1 / rows);
  };
  return jit((parameters: Parameters, m: Parameters, v: Parameters, tokens: np.Array, targets: np.Array) => {
    const [loss, gradients] = valueAndGrad(lossOf)(tree.ref(parameters), tokens, targets) as [np.Array, Parameters];
    const first = tree.map((m: np.Array, g: np.Array) => m.mul(0.9).add(g.mul(0.1)), m, tree.ref(gradients));
    const second = tree.map((v: np.Array, g: np.Array) => v.mul(0.999).add(np.square(g).mul(0.001)), v, gradients);
    const updated = tree.map(
      (p: np.Array, m: np.Array, v: np.Array) => p.sub(m.mul(1e-3).div(np.sqrt(v).add(1e-8))),
      ...([parameters, tree.ref(first), tree.ref(second)] as const),
    );
    return { loss, parameters: updated as Parameters, m: first as Parameters, v: second as Parameters };
  });
}
