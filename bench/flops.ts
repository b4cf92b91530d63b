/**
 * Floating-point operations of a model: 2 m n k of every matrix product of the forward pass, times 3 for forward and
 * backward. Element-wise work counts nothing; chunks count whole, also where causality hides half of one. Counted from
 * the graph that is run, and checked against the formula.
 */
import type { Shape } from "../src/base/shape.ts";
import type { Program } from "../src/graph/program.ts";
import type { input } from "../src/graph/tensor.ts";
import type { GatedConfig } from "../src/models/architectures/gated-unit-fields.ts";
import { languageModel } from "../src/models/language-model.ts";
import { evaluationProgram, trainingProgram } from "../src/train/objective.ts";
import type { Setup } from "./setup.ts";

export interface Product {
  readonly a: Shape;
  readonly b: Shape;
  /** Of one product of these shapes. */
  readonly flops: number;
  /** How often it occurs. */
  readonly count: number;
}

/** Every matrix product of a program, by the shapes of its operands. */
function productsOf({ nodes }: Program): Product[] {
  const products = new Map<string, Product>();
  for (const node of nodes) {
    if (node.kind !== "operator" || node.name !== "MatMul") continue;
    const [a, b] = node.inputs.map((operand) => operand.shape);
    const key = `${a} x ${b}`;
    const count = (products.get(key)?.count ?? 0) + 1;
    products.set(key, { a, b, count, flops: 2 * node.outputs[0].size * a[a.length - 1] });
  }
  return [...products.values()];
}

const total = (products: readonly Product[]) => products.reduce((sum, { flops, count }) => sum + flops * count, 0);

export interface ModelFlops {
  /** 2 m n k of the forward pass, counted from its graph. */
  readonly forward: number;
  /** 3 times that: what modelGflops divides by the time of a step. */
  readonly step: number;
  /** 2 m n k of every product in the training graph itself: above `step` by what its gradients add. */
  readonly executed: number;
  /** The products of the training graph. */
  readonly products: readonly Product[];
}

/** Every matrix product of a training step. */
export function trainingProducts({
  model,
  batch,
  context,
}: Pick<Setup, "model" | "batch" | "context">): readonly Product[] {
  return productsOf(
    trainingProgram((scope, tokens) => languageModel(scope, tokens, model), { batch, context }).program,
  );
}

/** Throws when the graph and the formula disagree. */
export function modelFlops({ model, batch, context }: Setup<GatedConfig>): ModelFlops {
  const build = (scope: Parameters<typeof languageModel>[0], tokens: ReturnType<typeof input>) =>
    languageModel(scope, tokens, model);
  const forward = total(productsOf(evaluationProgram(build, { batch, context }).program));
  const expected = forwardFlopsByFormula(model, batch, context);
  if (forward !== expected) {
    throw new Error(`model arithmetic: the graph has ${forward} floating-point operations, the formula ${expected}`);
  }
  const products = trainingProducts({ model, batch, context });
  return { forward, step: 3 * forward, executed: total(products), products };
}

/** Per token and layer: to u, v, z and back; scores and values in the chunk; sums and their use across chunks. */
function forwardFlopsByFormula(config: GatedConfig, batch: number, context: number): number {
  const { width: d, layers, shared: s, chunk: C, vocabSize: V, expansion } = config;
  const e = d * expansion;
  const chunks = Math.ceil(context / C);
  const maps = context * (d * (2 * e + s) + e * d);
  const local = chunks * C * (C * s + C * e);
  const distant = chunks > 1 ? chunks * C * 2 * s * e : 0;
  const bias = C >= 512 ? C * C * s : 0; // rotary bias: one product a layer, whatever the batch
  return 2 * (batch * (layers * (maps + local + distant) + context * d * V) + layers * bias);
}
